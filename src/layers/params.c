/* Configurations from text and back, by a table of parameters: a layer's, or that of whoever has one. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "layers/layer.h"

#define INIT_WORDS "normal:STD, xavier, he, zeros or constant:VALUE"

enum { LONGEST_VALUE = 8192 /* the longest table of connections takes 6000 */ };

const char *params_type(const struct param *param) {
  switch (param->type) {
    case PARAM_INTEGER: return "integer";
    case PARAM_NUMBER: return "number";
    case PARAM_PAIR: return "integer or HxW";
    case PARAM_FLAG: return "yes or no";
    case PARAM_CHOICE: return "choice";
    case PARAM_SHAPE: return "CxHxW";
    case PARAM_INIT: return INIT_WORDS;
    case PARAM_TABLE: return "0-2,5/1-3/...";
    case PARAM_NUMBERS: return "numbers";
  }
  return "";
}

static cnn_status bad(const struct param *p, const char *value, const char *wanted) {
  return CNN_FAIL(CNN_E_ARGUMENT, "%s=%.60s: %s wanted", p->key, value, wanted);
}

static cnn_status beyond(const struct param *p, const char *value) {
  return CNN_FAIL(CNN_E_ARGUMENT, "%s=%.60s is out of range: it must be %" PRId64 " to %" PRId64, p->key,
                  value, p->least, p->most);
}

static cnn_status in_range(const struct param *p, int64_t number) {
  if (number >= p->least && number <= p->most) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "%s=%" PRId64 " is out of range: it must be %" PRId64 " to %" PRId64,
                  p->key, number, p->least, p->most);
}

static cnn_status parse_init(const struct param *p, const char *value, struct init *init) {
  static const char *const names[] = {"xavier", "he", "zeros"};
  static const int kinds[] = {INIT_XAVIER, INIT_HE, INIT_ZEROS};
  *init = (struct init){0};
  for (int i = 0; i < 3; i++)
    if (strcmp(value, names[i]) == 0) {
      init->kind = kinds[i];
      return CNN_OK;
    }
  const char *colon = strchr(value, ':');
  bool normal = strncmp(value, "normal:", 7) == 0, constant = strncmp(value, "constant:", 9) == 0;
  init->kind = constant ? INIT_CONSTANT : INIT_NORMAL;
  if ((normal || constant) && text_to_number(colon + 1, strlen(colon + 1), &init->number) &&
      fabs(init->number) < 1e6 && (constant || init->number >= 0))
    return CNN_OK;
  return bad(p, value, INIT_WORDS);
}

static cnn_status parse_number(const struct param *p, const char *value, size_t length, double *number) {
  if (!text_to_number(value, length, number)) return bad(p, value, "a number");
  if (*number >= (double)p->least && *number <= (double)p->most) return CNN_OK;
  return beyond(p, value);
}

/* "30,60": they must rise. */
static cnn_status parse_numbers(const struct param *p, const char *value, struct numbers *numbers) {
  *numbers = (struct numbers){0};
  for (;; value++) {
    size_t length = strcspn(value, ",");
    double *number = &numbers->value[numbers->count];
    if (numbers->count == MOST_NUMBERS)
      return CNN_FAIL(CNN_E_ARGUMENT, "%s= takes at most %d numbers", p->key, MOST_NUMBERS);
    CNN_TRY(parse_number(p, value, length, number));
    if (numbers->count++ > 0 && *number <= number[-1])
      return CNN_FAIL(CNN_E_ARGUMENT, "%s=: %.60s does not rise; put the numbers in order", p->key, value);
    value += length;
    if (!*value) return CNN_OK;
  }
}

static cnn_status parse_value(const struct param *p, const char *value, void *config) {
  void *at = (char *)config + p->offset;
  size_t length = strlen(value);
  int64_t number[3];
  switch (p->type) {
    case PARAM_INTEGER:
      if (!text_to_integer(value, length, number))
        return strspn(value + (*value == '-'), "0123456789") < length - (*value == '-')
                   ? bad(p, value, "an integer")
                   : beyond(p, value);
      CNN_TRY(in_range(p, number[0]));
      memcpy(at, number, sizeof *number);
      return CNN_OK;
    case PARAM_NUMBER: {
      double real;
      CNN_TRY(parse_number(p, value, length, &real));
      memcpy(at, &real, sizeof real);
      return CNN_OK;
    }
    case PARAM_PAIR: {
      int count = text_to_sizes(value, length, number, 2);
      if (!count) return bad(p, value, "an integer or HxW");
      if (count == 1) number[1] = number[0];
      CNN_TRY(in_range(p, number[0]));
      CNN_TRY(in_range(p, number[1]));
      memcpy(at, number, 2 * sizeof *number);
      return CNN_OK;
    }
    case PARAM_FLAG:
      if (strcmp(value, "yes") && strcmp(value, "no")) return bad(p, value, "yes or no");
      *(bool *)at = value[0] == 'y';
      return CNN_OK;
    case PARAM_CHOICE:
      for (int i = 0; p->choices[i]; i++)
        if (strcmp(value, p->choices[i]) == 0) {
          *(int *)at = i;
          return CNN_OK;
        }
      return CNN_FAIL(CNN_E_ARGUMENT, "%s=%.60s is unknown; it takes %s%s%s%s%s", p->key, value,
                      p->choices[0], p->choices[1] ? ", " : "", p->choices[1] ? p->choices[1] : "",
                      p->choices[1] && p->choices[2] ? ", " : "",
                      p->choices[1] && p->choices[2] ? p->choices[2] : "");
    case PARAM_SHAPE: {
      if (text_to_sizes(value, length, number, 3) != 3) return bad(p, value, "CxHxW, as in 1x28x28,");
      for (int i = 0; i < 3; i++) CNN_TRY(in_range(p, number[i]));
      cnn_shape shape = {1, number[0], number[1], number[2]};
      memcpy(at, &shape, sizeof shape);
      return CNN_OK;
    }
    case PARAM_INIT: return parse_init(p, value, at);
    case PARAM_TABLE: return connections_parse(p->key, value, at);
    case PARAM_NUMBERS: return parse_numbers(p, value, at);
  }
  return CNN_OK;
}

static cnn_status unknown_key(const struct param *params, const char *owner, const char *key,
                              const char *const *common) {
  const char *names[64] = {0};
  struct text known = {0};
  int count = 0;
  for (const struct param *p = params; p && p->key; p++) names[count++] = p->key;
  for (; common && *common; common++) names[count++] = *common;
  for (int i = 0; i < count; i++) text_add(&known, "%s%s", i ? ", " : "", names[i]);
  const char *nearest = text_nearest(key, names);
  cnn_status status = nearest ? CNN_FAIL(CNN_E_KEY, "unknown key '%.40s'; did you mean '%s'?", key, nearest)
                              : CNN_FAIL(CNN_E_KEY, "unknown key '%.40s'; %s knows %s", key, owner,
                                         known.data ? known.data
                                         : count    ? "others"
                                                    : "none");
  text_free(&known);
  return status;
}

/* One word "key=value"; sets the bit of its parameter in *seen. */
static cnn_status parse_word(const struct param *params, const char *owner, const char *word, size_t length,
                             const char *const *common, void *config, uint64_t *seen) {
  char copy[LONGEST_VALUE];
  for (int i = 0; common && common[i]; i++) {
    size_t key = strlen(common[i]);
    if (length > key + 1 && word[key] == '=' && strncmp(word, common[i], key) == 0) return CNN_OK;
  }
  if (length >= sizeof copy)
    return CNN_FAIL(CNN_E_ARGUMENT, "'%.40s...' is longer than %d characters", word, LONGEST_VALUE - 1);
  memcpy(copy, word, length);
  copy[length] = 0;
  char *equals = strchr(copy, '=');
  if (!equals || equals == copy || !equals[1])
    return CNN_FAIL(CNN_E_ARGUMENT, "'%s' is not of the form key=value, without blanks", copy);
  *equals = 0;
  for (int i = 0; params && params[i].key; i++) {
    if (strcmp(copy, params[i].key)) continue;
    if (*seen >> i & 1) return CNN_FAIL(CNN_E_KEY, "key '%s' is given twice", copy);
    *seen |= (uint64_t)1 << i;
    return parse_value(&params[i], equals + 1, config);
  }
  return owner ? unknown_key(params, owner, copy, common) : CNN_OK;
}

cnn_status params_read(const struct param *params, const char *owner, const char *text,
                       const char *const *common, void *config) {
  uint64_t seen = 0;
  for (const struct param *p = params; p && p->key; p++)
    if (p->standard) CNN_TRY(parse_value(p, p->standard, config));
  for (;;) {
    text += strspn(text, " \t\r\n");
    if (!*text) break;
    size_t length = strcspn(text, " \t\r\n");
    CNN_TRY(parse_word(params, owner, text, length, common, config, &seen));
    text += length;
  }
  for (int i = 0; params && params[i].key; i++)
    if (!params[i].standard && !(seen >> i & 1))
      return CNN_FAIL(CNN_E_KEY, "key '%s' is missing: %s", params[i].key, params[i].help);
  return CNN_OK;
}

cnn_status params_parse(const struct layer_class *class, const char *text, const char *const *common,
                        void *config) {
  return params_read(class->params, class->name, text, common, config);
}

static void print_value(const struct param *p, const void *config, struct text *out) {
  const void *at = (const char *)config + p->offset;
  const int64_t *number = at;
  char buffer[32];
  switch (p->type) {
    case PARAM_INTEGER: text_add(out, "%" PRId64, number[0]); break;
    case PARAM_NUMBER: text_add(out, "%s", text_from_number(*(const double *)at, buffer)); break;
    case PARAM_PAIR:
      text_add(out, "%" PRId64, number[0]);
      if (number[0] != number[1]) text_add(out, "x%" PRId64, number[1]);
      break;
    case PARAM_FLAG: text_add(out, "%s", *(const bool *)at ? "yes" : "no"); break;
    case PARAM_CHOICE: text_add(out, "%s", p->choices[*(const int *)at]); break;
    case PARAM_SHAPE: {
      const cnn_shape *s = at;
      text_add(out, "%" PRId64 "x%" PRId64 "x%" PRId64, s->c, s->h, s->w);
      break;
    }
    case PARAM_INIT: {
      const struct init *init = at;
      static const char *const names[] = {"normal", "xavier", "he", "zeros", "constant"};
      text_add(out, "%s", names[init->kind]);
      if (init->kind == INIT_NORMAL || init->kind == INIT_CONSTANT)
        text_add(out, ":%s", text_from_number(init->number, buffer));
      break;
    }
    case PARAM_TABLE: connections_print(at, out); break;
    case PARAM_NUMBERS: {
      const struct numbers *numbers = at;
      for (int i = 0; i < numbers->count; i++)
        text_add(out, "%s%s", i ? "," : "", text_from_number(numbers->value[i], buffer));
      break;
    }
  }
}

void params_write(const struct param *params, const void *config, bool all, struct text *out) {
  for (const struct param *p = params; p && p->key; p++) {
    struct text value = {0};
    print_value(p, config, &value);
    if (value.failed || !value.data)
      out->failed = true;
    else if (all || !p->standard || strcmp(value.data, p->standard))
      text_add(out, " %s=%s", p->key, value.data);
    text_free(&value);
  }
}

void params_print(const struct layer_class *class, const void *config, struct text *out) {
  params_write(class->params, config, false, out);
}
