/* The command that repeats a run. A log has the run's options as a file for --config; without one, a model's
 * settings say as much, but for where the data was. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "source.h"

/* As a shell reads it back: POSIX, 2.2.2. */
static void write_word(FILE *file, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./=,:@%+-";
  if (*word && word[strspn(word, plain)] == '\0') {
    fputs(word, file);
    return;
  }
  fputc('\'', file);
  for (; *word; word++)
    if (*word == '\'')
      fputs("'\\''", file);
    else
      fputc(*word, file);
  fputc('\'', file);
}

static void write_option(FILE *file, const char *name, const char *value) {
  fprintf(file, " --%s", name);
  if (!value) return;
  fputc(' ', file);
  write_word(file, value);
}

/* ---- By the log ---- */

/* Is it what goes without saying? */
static bool is_usual(const char *key, const char *value) {
  static const char *const usual[][2] = {
      {"schedule", "constant"}, {"warmup", "0"},           {"decay-biases", "no"}, {"clip-norm", "0"},
      {"clip-value", "0"},      {"loss", "cross-entropy"}, {"ema", "0"},           {"label-smoothing", "0"},
      {"validation", "0"},      {"patience", "0"},         {"measure", "loss"}};
  for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
    if (strcmp(usual[i][0], key) == 0 && strcmp(usual[i][1], value) == 0) return true;
  return false;
}

/* Lines `key = value`, as `cnn train --print-config` prints them; *config is taken apart. */
static void by_config(FILE *file, char *config) {
  for (char *line = strtok(config, "\n"); line; line = strtok(NULL, "\n")) {
    char *equals = strstr(line, " = ");
    if (*line == '#' || !equals) continue;
    *equals = '\0';
    const char *value = equals + 3;
    if (strcmp(line, "network") == 0) {
      fputc(' ', file);
      write_word(file, value);
    } else if (!is_usual(line, value)) {
      write_option(file, line, strcmp(line, "decay-biases") == 0 ? NULL : value);
    }
  }
}

/* As it was typed. */
static void by_words(FILE *file, const json_t *words) {
  for (size_t i = 1; i < json_array_size(words); i++) {
    const char *word = json_string_value(json_array_get(words, i));
    if (i > 1) fputc(' ', file);
    if (word) write_word(file, word);
  }
}

/* ---- By the model ---- */

static int64_t whole(const json_t *settings, const char *key) {
  return (int64_t)json_integer_value(json_object_get(settings, key));
}

static void write_setting(FILE *file, const json_t *settings, const char *key, const char *option) {
  const json_t *value = json_object_get(settings, key);
  char number[32] = "";
  if (json_is_integer(value)) snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
  for (int digits = 6; json_is_real(value) && digits <= 17; digits++) {
    snprintf(number, sizeof number, "%.*g", digits, json_real_value(value));
    if (strtod(number, NULL) == json_real_value(value)) break;
  }
  if (json_is_string(value))
    write_option(file, option, json_string_value(value));
  else if (json_is_true(value) || *number)
    write_option(file, option, *number ? number : NULL);
}

/* The name of the built-in network that the model has, or NULL. */
static const char *builtin_name(const cnn_model *model) {
  const char *text = cnn_model_text(model);
  for (int i = 0; text && cnn_net_builtin(i); i++) {
    cnn_net *net;
    if (cnn_net_load(cnn_net_builtin(i), &net) != CNN_OK) continue;
    const char *other = cnn_net_text(net);
    bool same = other && strcmp(other, text) == 0;
    cnn_net_free(net);
    if (same) return cnn_net_builtin(i);
  }
  return NULL;
}

/* Only what depends on the settings alone is asked of them; beta1 and its like have no option. */
static void by_settings(FILE *file, const json_t *settings, const char *data, const cnn_dataset *dataset) {
  static const char *const rows[][2] = {{"epochs", "epochs"},
                                        {"batch", "batch"},
                                        {"group", "group"},
                                        {"optimizer", "optimizer"},
                                        {"lr", "lr"},
                                        {"momentum", "momentum"},
                                        {"schedule", "schedule"},
                                        {"warmup", "warmup"},
                                        {"weight_decay", "weight-decay"},
                                        {"decay_biases", "decay-biases"},
                                        {"clip_norm", "clip-norm"},
                                        {"clip_value", "clip-value"},
                                        {"loss", "loss"},
                                        {"label_smoothing", "label-smoothing"},
                                        {"ema", "ema"},
                                        {"validation", "validation"},
                                        {"patience", "patience"},
                                        {"measure", "measure"},
                                        {"augment", "augment"},
                                        {"normalize", "normalize"},
                                        {"weights_seed", "seed"}};
  int64_t images = whole(settings, "images") + whole(settings, "validation");
  write_option(file, "data", data);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const json_t *value = json_object_get(settings, rows[i][0]);
    if (json_is_string(value) && is_usual(rows[i][1], json_string_value(value))) continue;
    write_setting(file, settings, rows[i][0], rows[i][1]);
  }
  const char *optimizer = json_string_value(json_object_get(settings, "optimizer"));
  if (optimizer && strcmp(optimizer, "adamw") == 0 && !json_object_get(settings, "weight_decay"))
    write_option(file, "weight-decay", "0");
  if (images > 0 && images < cnn_dataset_count(dataset, CNN_SPLIT_TRAIN)) {
    char number[32];
    snprintf(number, sizeof number, "%lld", (long long)images);
    write_option(file, "limit", number);
  }
}

char *run_command(const cnn_model *model, const char *model_path, const char *data,
                  const cnn_dataset *dataset, const struct run_log *log, char net_file[256]) {
  char *text = NULL, *config = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&text, &size);
  net_file[0] = '\0';
  if (!file) return NULL;
  json_t *settings = json_loads(cnn_model_settings(model), 0, NULL);
  const char *in_log = json_string_value(json_object_get(log->start, "config"));
  if (in_log) config = strdup(in_log);
  if (config) {
    fputs("cnn train", file);
    by_config(file, config);
  } else if (log->start) {
    fputs("cnn ", file);
    by_words(file, json_object_get(log->start, "command"));
  } else if (json_object_get(settings, "weights_seed")) {
    const char *name = builtin_name(model);
    if (!name) {
      char base[240];
      source_base_name(model_path, base, sizeof base);
      snprintf(net_file, 256, "%s.net", base);
      name = net_file;
    }
    fputs("cnn train ", file);
    write_word(file, name);
    by_settings(file, settings, data, dataset);
  }
  free(config);
  json_decref(settings);
  bool failed = ferror(file);
  if (fclose(file) == 0 && !failed) return text;
  free(text);
  return NULL;
}
