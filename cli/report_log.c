/* The log that `cnn train --log` wrote: a line of settings, then a line an epoch. Anything else is refused
 * with its line, for curves that are half right look like curves that are right. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "messages.h"
#include "report.h"

static const struct {
  const char *key;
  bool optional;
} columns[LOG_COLUMNS] = {
#define RUN_LOG_ROW(name, key, optional) {key, optional},
    RUN_LOG_MAP(RUN_LOG_ROW)
#undef RUN_LOG_ROW
};

void run_log_free(struct run_log *log) {
  json_decref(log->start);
  for (int c = 0; c < LOG_ALL; c++) free(log->value[c]);
}

/* A value as it stands in the file, cut short. */
static const char *found(const json_t *value, char buffer[48]) {
  char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
  snprintf(buffer, 48, strlen(text ? text : "nothing") > 40 ? "%.40s..." : "%.47s", text ? text : "nothing");
  free(text);
  return buffer;
}

static int bad_value(const struct run_log *log, int64_t line, const char *key, const json_t *value,
                     const char *expected) {
  char buffer[48];
  return fail_with("%s:%lld: \"%s\" is %s; expected %s", log->path, (long long)line, key,
                   found(value, buffer), expected);
}

static int read_start(struct run_log *log, json_t *line) {
  const json_t *settings = json_object_get(line, "settings"), *command = json_object_get(line, "command");
  if (!json_is_object(settings))
    return bad_value(log, 1, "settings", settings, "the run's settings, as `cnn train --log` writes them");
  if (!json_is_array(command))
    return bad_value(log, 1, "command", command,
                     "the words of the command, as `cnn train --log` writes them");
  log->start = json_incref(line);
  return EXIT_SUCCESS;
}

static bool make_room(struct run_log *log) {
  if (log->epochs < log->room) return true;
  int64_t room = 2 * log->room + 32;
  for (int c = 0; c < LOG_ALL; c++) {
    double *grown = realloc(log->value[c], (size_t)room * sizeof *grown);
    if (!grown) return false;
    log->value[c] = grown;
  }
  log->room = room;
  return true;
}

static int read_epoch(struct run_log *log, int64_t line, const json_t *object) {
  char expected[32];
  const json_t *epoch = json_object_get(object, "epoch");
  snprintf(expected, sizeof expected, "%lld", (long long)log->epochs + 1);
  if (!json_is_integer(epoch) || json_integer_value(epoch) != log->epochs + 1)
    return bad_value(log, line, "epoch", epoch, expected);
  if (!make_room(log)) return fail_with("out of memory for '%s'", log->path);
  for (int c = 0; c < LOG_COLUMNS; c++) {
    const json_t *value = json_object_get(object, columns[c].key);
    bool absent = !value || json_is_null(value);
    if (absent ? !columns[c].optional : !json_is_number(value))
      return bad_value(log, line, columns[c].key, value,
                       columns[c].optional ? "a number or null" : "a number");
    log->value[c][log->epochs] = absent ? NAN : json_number_value(value);
  }
  const double *seconds = log->value[LOG_SECONDS];
  log->value[LOG_EPOCH_SECONDS][log->epochs] =
      seconds[log->epochs] - (log->epochs ? seconds[log->epochs - 1] : 0);
  log->epochs++;
  return EXIT_SUCCESS;
}

static int read_line(struct run_log *log, int64_t line, const char *text, size_t length) {
  json_error_t error;
  json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
  if (!json_is_object(object)) {
    json_decref(object);
    bool cut = length && text[length - 1] != '\n';
    return fail_with("%s:%lld: %s%s; expected %s, as `cnn train --log` writes it", log->path, (long long)line,
                     object ? "not an object" : error.text, cut ? " (the line is cut off)" : "",
                     line == 1 ? "an object with the run's settings" : "an object with an epoch's values");
  }
  int result = line == 1 ? read_start(log, object) : read_epoch(log, line, object);
  json_decref(object);
  return result;
}

int run_log_read(const char *path, struct run_log *log) {
  FILE *file = fopen(path, "r");
  char *text = NULL;
  size_t room = 0;
  int result = EXIT_SUCCESS;
  log->path = path;
  if (!file) return fail_with("--log: '%s' cannot be read: %s", path, strerror(errno));
  errno = 0;
  ssize_t length;
  for (int64_t line = 1; result == EXIT_SUCCESS && (length = getline(&text, &room, file)) >= 0; line++)
    result = read_line(log, line, text, (size_t)length);
  if (result == EXIT_SUCCESS && ferror(file))
    result = fail_with("--log: '%s' cannot be read: %s", path, strerror(errno));
  else if (result == EXIT_SUCCESS && !log->start)
    result = fail_with("%s:1: the file is empty; expected the lines that `cnn train --log` writes", path);
  free(text);
  fclose(file);
  return result;
}

/* ---- Is it the model's? ---- */

static int another(const struct run_log *log, const char *model, const char *what, const char *ours,
                   const char *theirs) {
  return fail_with(
      "%s: is the log of another run: its \"%s\" is %s, that of '%s' is %s; give the log that was written "
      "with the model, or none",
      log->path, what, ours, model, theirs);
}

static int differs(const struct run_log *log, const char *model, const char *key, const json_t *ours,
                   const json_t *theirs) {
  char a[48], b[48];
  return another(log, model, key, found(ours, a), found(theirs, b));
}

int run_log_compare(const struct run_log *log, const cnn_model *model, const char *path) {
  const json_t *ours = json_object_get(log->start, "settings"),
               *count = json_object_get(log->start, "parameters");
  json_t *theirs = json_loads(cnn_model_settings(model), 0, NULL);
  const char *key;
  json_t *value;
  int64_t parameters = 0;
  cnn_layer_info layer;
  int result = EXIT_SUCCESS;
  json_object_foreach(theirs, key, value) {
    if (result == EXIT_SUCCESS && !json_equal(json_object_get(ours, key), value))
      result = differs(log, path, key, json_object_get(ours, key), value);
  }
  json_object_foreach((json_t *)ours, key, value) {
    if (result == EXIT_SUCCESS && !json_object_get(theirs, key))
      result = differs(log, path, key, value, NULL);
  }
  json_decref(theirs);
  const cnn_net *net = cnn_model_net(model);
  for (int i = 0; i < cnn_net_layer_count(net); i++)
    if (cnn_net_layer(net, i, &layer) == CNN_OK) parameters += layer.parameters;
  if (result == EXIT_SUCCESS && json_is_integer(count) && json_integer_value(count) != parameters) {
    char a[32], b[32];
    snprintf(a, sizeof a, "%lld", (long long)json_integer_value(count));
    snprintf(b, sizeof b, "%lld", (long long)parameters);
    result = another(log, path, "parameters", a, b);
  }
  return result;
}
