/* What commands print: failures as one sentence on standard error, JSON, sizes for people. Called by all
 * cmd_*.c. JSON is written straight to the stream, so that the log of a training run allocates nothing. */
#include "output.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int fail(void) { return fail_with("%s", cnn_why()); }

int fail_with(const char *format, ...) {
  va_list arguments;
  fflush(stdout);
  fputs("cnn: ", stderr);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  return EXIT_FAILURE;
}

void print_evaluation(const char *before, const cnn_evaluation *evaluation) {
  printf("%saccuracy %.2f %% (%lld/%lld)  loss %.4f\n", before, 100.0 * evaluation->accuracy,
         (long long)evaluation->correct, (long long)evaluation->total, evaluation->loss);
}

const char *size_text(int64_t bytes, char buffer[TEXT_SIZE]) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = (double)bytes;
  size_t unit = 0;
  while (value >= 999.95 && unit + 1 < sizeof units / sizeof *units) {
    value /= 1000;
    unit++;
  }
  snprintf(buffer, TEXT_SIZE, "%.*f %s", unit ? 1 : 0, value, units[unit]);
  return buffer;
}

const char *shape_text(cnn_shape shape, char buffer[TEXT_SIZE]) {
  if (shape.h == 1 && shape.w == 1)
    snprintf(buffer, TEXT_SIZE, "%lld", (long long)shape.c);
  else
    snprintf(buffer, TEXT_SIZE, "%lldx%lldx%lld", (long long)shape.c, (long long)shape.h, (long long)shape.w);
  return buffer;
}

const char *time_text(double seconds, char buffer[TEXT_SIZE]) {
  if (!(seconds >= 0 && seconds < 1e9)) {
    snprintf(buffer, TEXT_SIZE, "--:--");
    return buffer;
  }
  long whole = lround(seconds);
  if (whole >= 3600)
    snprintf(buffer, TEXT_SIZE, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    snprintf(buffer, TEXT_SIZE, "%ld:%02ld", whole / 60, whole % 60);
  return buffer;
}

void scores_to_probabilities(float *values, int64_t count) {
  double largest = values[0], sum = 0;
  for (int64_t i = 1; i < count; i++) /* by if: gcc 12 for aarch64 dies of fmax here */
    if (values[i] > largest) largest = values[i];
  for (int64_t i = 0; i < count; i++) sum += exp(values[i] - largest);
  for (int64_t i = 0; i < count; i++) values[i] = (float)(exp(values[i] - largest) / sum);
}

const char *class_name(const cnn_model *model, int64_t index, char buffer[TEXT_SIZE]) {
  const char *name = cnn_model_class(model, (int)index);
  if (name) return name;
  snprintf(buffer, TEXT_SIZE, "%lld", (long long)index);
  return buffer;
}

double now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

char *base64(const unsigned char *bytes, size_t count, char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < count; i += 3) {
    size_t left = count - i;
    unsigned bits = (unsigned)bytes[i] << 16;
    if (left > 1) bits |= (unsigned)bytes[i + 1] << 8;
    if (left > 2) bits |= bytes[i + 2];
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    *out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
    *out++ = left > 2 ? digits[bits & 63] : '=';
  }
  *out = '\0';
  return out;
}

size_t utf8_length(const unsigned char *s) {
  static const struct {
    unsigned char mask, lead;
    unsigned long least;
  } forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
  if (s[0] < 0x80) return 1;
  for (size_t form = 0; form < 3; form++) {
    if ((s[0] & forms[form].mask) != forms[form].lead) continue;
    unsigned long code = (unsigned char)(s[0] & ~forms[form].mask);
    for (size_t i = 1; i <= form + 1; i++) {
      if ((s[i] & 0xc0) != 0x80) return 0;
      code = code << 6 | (s[i] & 0x3f);
    }
    if (code < forms[form].least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
    return form + 2;
  }
  return 0;
}

/* In quotes; bytes that are not UTF-8 (file names may have them) become U+FFFD. */
static void write_string(FILE *file, const char *text) {
  fputc('"', file);
  for (const unsigned char *s = (const unsigned char *)text; *s;) {
    size_t length = utf8_length(s);
    if (length == 0)
      fputs("\\ufffd", file);
    else if (*s == '"' || *s == '\\')
      fprintf(file, "\\%c", *s);
    else if (*s == '\n')
      fputs("\\n", file);
    else if (*s < 0x20 || *s == 0x7f)
      fprintf(file, "\\u%04x", *s);
    else
      fwrite(s, 1, length, file);
    s += length ? length : 1;
  }
  fputc('"', file);
}

static void write_key(struct json *json, const char *key) {
  if (json->comma) fputc(',', json->file);
  json->comma = true;
  if (!key) return;
  write_string(json->file, key);
  fputc(':', json->file);
}

void json_open(struct json *json, const char *key, char bracket) {
  write_key(json, key);
  fputc(bracket, json->file);
  json->comma = false;
}

void json_close(struct json *json, char bracket) {
  fputc(bracket, json->file);
  json->comma = true;
}

void json_raw(struct json *json, const char *key, const char *text) {
  write_key(json, key);
  fputs(text, json->file);
}

void json_string(struct json *json, const char *key, const char *value) {
  if (!value) {
    json_raw(json, key, "null");
    return;
  }
  write_key(json, key);
  write_string(json->file, value);
}

void json_integer(struct json *json, const char *key, int64_t value) {
  write_key(json, key);
  fprintf(json->file, "%lld", (long long)value);
}

void json_number(struct json *json, const char *key, double value) {
  char text[40] = "null";
  if (isfinite(value)) {
    snprintf(text, sizeof text, "%.15g", value);
    if (strtod(text, NULL) != value) snprintf(text, sizeof text, "%.17g", value);
  }
  json_raw(json, key, text);
}

void json_float(struct json *json, const char *key, float value) {
  char text[32] = "null";
  for (int digits = 6; isfinite(value) && digits <= 9; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, (double)value);
    if (strtof(text, NULL) == value) break;
  }
  json_raw(json, key, text);
}

void json_shape(struct json *json, const char *key, cnn_shape shape) {
  json_open(json, key, '[');
  json_integer(json, NULL, shape.c);
  json_integer(json, NULL, shape.h);
  json_integer(json, NULL, shape.w);
  json_close(json, ']');
}
