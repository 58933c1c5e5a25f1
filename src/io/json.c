/* See json.h. */
#include "io/json.h"

#include <stdbool.h>
#include <string.h>

#include "core/memory.h"

#define LONGEST_STRING ((size_t)16 << 20)

/* Limits only; the grammar is jansson's, which recurses on nesting. */
static cnn_status check_limits(const char *text, size_t length, int depth) {
  int nested = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '[' || text[i] == '{') nested++;
    if (text[i] == ']' || text[i] == '}') nested--;
    if (nested > depth)
      return CNN_FAIL(CNN_E_FORMAT, "JSON nested deeper than %d levels at byte %zu", depth, i);
    if (text[i] != '"') continue;
    size_t start = i++;
    while (i < length && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
    if (i - start > LONGEST_STRING)
      return CNN_FAIL(CNN_E_FORMAT, "the JSON string at byte %zu is longer than %zu bytes", start,
                      LONGEST_STRING);
  }
  return CNN_OK;
}

/* jansson does not survive every failure of malloc: while a string grows it loses a byte of it instead.
 * So ask for more than it can need first, and let that fail. */
static cnn_status check_memory(size_t length) {
  size_t bytes = 65536 + 32 * length;
  void *probe = mem_alloc(bytes);
  mem_free(probe);
  return probe ? CNN_OK : status_no_memory(bytes, "JSON");
}

cnn_status io_json_read(const char *text, size_t length, int depth, json_t **value) {
  json_error_t error;
  CNN_TRY(check_limits(text, length, depth));
  CNN_TRY(check_memory(length));
  json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
  if (!root) {
    /* jansson says nothing where an allocation failed */
    if (!error.text[0] || json_error_code(&error) == json_error_out_of_memory)
      return status_no_memory(length, "JSON");
    return CNN_FAIL(CNN_E_FORMAT, "not valid JSON: %s, at byte %d", io_shown(error.text).text,
                    error.position);
  }
  *value = root;
  return CNN_OK;
}

/* Bytes of the UTF-8 character that s begins with; 0 where it begins with none (Unicode, table 3-7). */
static size_t character(const unsigned char *s) {
  if (s[0] < 0x80) return 1;
  size_t more = s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 1 : s[0] < 0xF0 ? 2 : s[0] < 0xF5 ? 3 : 0;
  unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
  unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
  if (more == 0 || s[1] < low || s[1] > high) return 0;
  for (size_t i = 2; i <= more; i++)
    if (s[i] < 0x80 || s[i] > 0xBF) return 0;
  return more + 1;
}

void io_json_quote(struct text *text, const char *s) {
  text_add_bytes(text, "\"", 1);
  for (size_t length; *s; s += length ? length : 1) {
    length = character((const unsigned char *)s);
    if (length == 0)
      text_add_bytes(text, "\xEF\xBF\xBD", 3);
    else if (*s == '"' || *s == '\\')
      text_add(text, "\\%c", *s);
    else if (*s == '\n')
      text_add(text, "\\n");
    else if ((unsigned char)*s < 0x20)
      text_add(text, "\\u%04x", (unsigned)*s);
    else
      text_add_bytes(text, s, length);
  }
  text_add_bytes(text, "\"", 1);
}

struct io_shown io_shown(const char *s) {
  struct io_shown shown;
  size_t to = 0, length;
  for (; *s; s += length ? length : 1) {
    length = character((const unsigned char *)s);
    if (to + (length ? length : 1) > 57) {
      memcpy(shown.text + to, "...", 3);
      to += 3;
      break;
    }
    bool plain = length > 1 ? !((unsigned char)s[0] == 0xC2 && (unsigned char)s[1] < 0xA0)
                            : length == 1 && (unsigned char)*s >= 0x20 && *s != 0x7F;
    if (plain) memcpy(shown.text + to, s, length);
    if (!plain) shown.text[to] = '?';
    to += plain ? length : 1;
  }
  shown.text[to] = 0;
  return shown;
}
