/* Failures, and sizes for people. Apart from output.h so that jansson.h, which has a json_string() and a
 * json_integer() too, can stand beside it: files that read by jansson must not make values by those two. In
 * output.c. */
#ifndef CLI_MESSAGES_H
#define CLI_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

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

/* RFC 4648, section 4: 4 characters for each 3 bytes begun, then a zero. Returns where the zero stands. */
char *base64(const unsigned char *bytes, size_t count, char *out);

/* The length of the UTF-8 character at s, 0 where there is none. */
size_t utf8_length(const unsigned char *s);

#endif
