/* See report.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "report.h"

/* What is no character of HTML (a control, a byte that is not UTF-8) becomes U+FFFD. */
void html_text(FILE *file, const char *text) {
  for (const unsigned char *s = (const unsigned char *)text; *s;) {
    size_t length = utf8_length(s);
    switch (*s) {
      case '&': fputs("&amp;", file); break;
      case '<': fputs("&lt;", file); break;
      case '>': fputs("&gt;", file); break;
      case '"': fputs("&quot;", file); break;
      case '\'': fputs("&#39;", file); break;
      default:
        if (length == 0 || *s == 0x7f || (*s < 0x20 && *s != '\n' && *s != '\t'))
          fputs("\xef\xbf\xbd", file);
        else
          fwrite(s, 1, length, file);
    }
    s += length ? length : 1;
  }
}

cnn_status html_image(FILE *file, cnn_tensor image, int64_t width, int64_t height, const char *class,
                      const char *alt) {
  void *png;
  size_t bytes;
  cnn_status status = cnn_image_encode(image, &png, &bytes);
  if (status != CNN_OK) return status;
  char *text = malloc(4 * ((bytes + 2) / 3) + 1);
  if (text) {
    base64(png, bytes, text);
    html(file, "<img class=\"%s\" width=\"%lld\" height=\"%lld\" src=\"data:image/png;base64,%s\" alt=\"",
         class, (long long)width, (long long)height, text);
    html_text(file, alt);
    fputs("\">", file);
  }
  free(text);
  free(png);
  return text ? CNN_OK : CNN_E_MEMORY;
}

const char *grouped(int64_t number, char buffer[32]) {
  char digits[24];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)number), at = 0;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0 && isdigit(digits[i - 1])) buffer[at++] = ',';
    buffer[at++] = digits[i];
  }
  buffer[at] = '\0';
  return buffer;
}
