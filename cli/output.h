/* What commands print: messages.h, and JSON. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "messages.h"

/* JSON, written as it comes, without allocation. key is NULL in an array and at the top. */
struct json {
  FILE *file;
  bool comma; /* a value stands before */
};

void json_open(struct json *json, const char *key, char bracket);        /* '{' or '[' */
void json_close(struct json *json, char bracket);                        /* '}' or ']' */
void json_string(struct json *json, const char *key, const char *value); /* NULL: null */
void json_integer(struct json *json, const char *key, int64_t value);
void json_number(struct json *json, const char *key, double value); /* null where not finite */
void json_float(struct json *json, const char *key, float value);   /* as short as gives it back; likewise */
void json_shape(struct json *json, const char *key, cnn_shape shape); /* [c,h,w] */
void json_raw(struct json *json, const char *key, const char *text);  /* text is JSON */

#endif
