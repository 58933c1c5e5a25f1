/* What commands print: failures, JSON, sizes for people. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cnn.h"

/* Prints `cnn: SENTENCE` on standard error, the sentence being cnn_why() or the one given. Returns 1. */
int fail(void);
int fail_with(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* `accuracy 98.96 % (9896/10000)  loss 0.0387`, with the words given before it. */
void print_evaluation(const char *before, const cnn_evaluation *evaluation);

/* "1.7 MB"; "30x24x24", or "100" where it is one value wide and high; "1:02:03". Each returns buffer. */
enum { TEXT_SIZE = 96 };
const char *size_text(int64_t bytes, char buffer[TEXT_SIZE]);
const char *shape_text(cnn_shape shape, char buffer[TEXT_SIZE]);
const char *time_text(double seconds, char buffer[TEXT_SIZE]);

/* What a network that ends without a softmax gives, to probabilities, in place. */
void scores_to_probabilities(float *values, int64_t count);

/* A class's name, or its number in buffer where the model has none. */
const char *class_name(const cnn_model *model, int64_t index, char buffer[TEXT_SIZE]);

/* The clock that never jumps, in seconds. */
double now_seconds(void);

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
