/* JSON in files that come from anywhere: jansson, behind limits that it does not have.
 *
 * Called by safetensors.c (headers) and model.c (settings, names of classes). jansson's memory does
 * not go through core/memory.h: its allocator is one for the whole process and belongs to the host. */
#ifndef CNN_IO_JSON_H
#define CNN_IO_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "core/status.h"
#include "core/text.h"

/* The array or object that the whole of text[0..length) is, to be released by json_decref(). CNN_E_FORMAT
 * where it is not JSON in UTF-8, nests deeper than `depth`, has a string of more than 16 MiB, a NUL in a
 * string or the same key twice in an object. */
cnn_status io_json_read(const char *text, size_t length, int depth, json_t **value);

/* s as a JSON string with its quotes. What is not UTF-8 in it becomes U+FFFD. */
void io_json_quote(struct text *text, const char *s);

/* A word from a file as it may stand in a message: at most 60 bytes, without control characters. Use
 * as io_shown(word).text, within the one expression. */
struct io_shown {
  char text[64];
};
struct io_shown io_shown(const char *s);

#endif
