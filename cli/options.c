/* Command lines. Every cmd_*.c hands its table of options to command_line_parse(), which builds argp's
 * table from it, with defaults and choices in the help, reads the values strictly, and answers wrong
 * usage with one sentence and exit code 2. */
#include "options.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cnn.h"
#include "messages.h"

enum { OUT_KEY = 'o' /* --out is -o too */, FIRST_KEY = 256, HELP_SIZE = 256, LONGEST_NAME = 64 };

/* argp's own options, which the search for unknown names must know. */
static const struct option_row argp_rows[] = {{.name = "help"},
                                              {.name = "usage"},
                                              {.name = "version"},
                                              {.name = "program-name", .argument = "NAME"},
                                              ROW_END};

void usage_error(const char *command, const char *format, ...) {
  va_list arguments;
  fflush(stdout);
  fprintf(stderr, "%s: ", command);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, "\nTry `%s --help' for more information.\n", command);
  exit(EXIT_USAGE);
}

/* Edits (insert, delete, replace, swap neighbours) that turn a into b. */
static size_t edits(const char *a, const char *b) {
  size_t row[3][LONGEST_NAME + 1];
  size_t rows = strlen(a), columns = strlen(b);
  if (rows > LONGEST_NAME || columns > LONGEST_NAME) return LONGEST_NAME;
  size_t *two_up = row[0], *up = row[1], *now = row[2];
  for (size_t j = 0; j <= columns; j++) up[j] = two_up[j] = j;
  for (size_t i = 1; i <= rows; i++) {
    now[0] = i;
    for (size_t j = 1; j <= columns; j++) {
      size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
      if (up[j] + 1 < best) best = up[j] + 1;
      if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two_up[j - 2] + 1 < best)
        best = two_up[j - 2] + 1;
      now[j] = best;
    }
    size_t *free_row = two_up;
    two_up = up;
    up = now;
    now = free_row;
  }
  return up[columns];
}

const char *nearest_name(const char *word, const char *const *names) {
  const char *nearest = NULL;
  size_t least = 1 + strlen(word) / 2;
  if (least > 4) least = 4;
  for (; *names; names++) {
    size_t distance = edits(word, *names);
    if (distance < least) {
      least = distance;
      nearest = *names;
    }
  }
  return nearest;
}

const char *const *optimizer_names(void) {
  static const char *names[MOST_OPTIONS];
  for (int i = 0; i < MOST_OPTIONS - 1; i++) {
    names[i] = cnn_optimizer_name(i);
    if (!names[i]) break;
  }
  return names;
}

static void print_version(FILE *file, struct argp_state *state) {
  (void)state;
  fprintf(file, "cnn %s\n", cnn_version());
}

/* The text of --help for a row: its help, then choices, then default. */
static void write_help(const struct option_row *row, char *text, size_t size) {
  int used = snprintf(text, size, "%s", row->help);
  for (const char *const *choice = row->choices; choice && *choice && used < (int)size; choice++)
    used += snprintf(text + used, size - (size_t)used, "%s%s", choice == row->choices ? ": " : ", ", *choice);
  if (used >= (int)size) return;
  char *end = text + used;
  size -= (size_t)used;
  if (row->required)
    snprintf(end, size, " (required)");
  else if (row->standard)
    snprintf(end, size, " (default: %s)", row->standard);
  else if (row->kind == OPTION_WHOLE)
    snprintf(end, size, " (default %lld)", (long long)*(const int64_t *)row->value);
  else if (row->kind == OPTION_NUMBER)
    snprintf(end, size, " (default %g)", *(const double *)row->value);
  else if (row->kind != OPTION_SWITCH && row->kind != OPTION_BYTES && *(const char *const *)row->value)
    snprintf(end, size, " (default %s)", *(const char *const *)row->value);
}

/* Where a value stands: on a command line, or in a line of a file. */
struct place {
  const char *command, *file; /* file: NULL on a command line */
  int line;
};

static _Noreturn void bad_value(const struct place *place, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void bad_value(const struct place *place, const char *name, const char *format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (!place->file) usage_error(place->command, "--%s: %s", name, text);
  fflush(stdout);
  fprintf(stderr, "cnn: %s:%d: %s: %s\n", place->file, place->line, name, text);
  exit(EXIT_FAILURE);
}

/* The whole of text as a whole number in the row's range. */
static void read_whole(const struct place *place, const struct option_row *row, const char *text) {
  char *end = NULL;
  const char *digits = text + (*text == '-');
  errno = 0;
  long long value = strtoll(text, &end, 10);
  if (*digits < '0' || *digits > '9' || *end != '\0')
    bad_value(place, row->name, "'%s' is not a whole number", text);
  if (errno == ERANGE || (double)value < row->low || (double)value > row->high)
    bad_value(place, row->name, "%s is out of range, which is %.0f to %.0f", text, row->low, row->high);
  *(int64_t *)row->value = value;
}

static void read_number(const struct place *place, const struct option_row *row, const char *text) {
  char *end = NULL;
  double value = strtod(text, &end);
  if (strspn(text, "0123456789.eE+-") != strlen(text) || end == text || *end != '\0')
    bad_value(place, row->name, "'%s' is not a number", text);
  if (!isfinite(value) || value < row->low || value > row->high || (row->below && value == row->high))
    bad_value(place, row->name, "%s is out of range, which is %g to %s%g", text, row->low,
              row->below ? "less than " : "", row->high);
  *(double *)row->value = value;
}

static void read_bytes(const struct place *place, const struct option_row *row, const char *text) {
  static const char units[] = "KMGT";
  char *end = NULL;
  double value = strtod(text, &end);
  const char *unit = *end ? strchr(units, *end) : NULL;
  if (strspn(text, "0123456789.") != (size_t)(end - text) || end == text || (*end && (!unit || end[1])))
    bad_value(place, row->name, "'%s' is not a size, such as 4096, 200M or 1.5G", text);
  for (const char *u = units; unit && u <= unit; u++) value *= 1000;
  if (!(value >= 1 && value < 1e18))
    bad_value(place, row->name, "%s is out of range, which is 1 to 1000000T", text);
  *(int64_t *)row->value = (int64_t)value;
}

static void read_choice(const struct place *place, const struct option_row *row, const char *text) {
  for (const char *const *choice = row->choices; *choice; choice++)
    if (strcmp(*choice, text) == 0) {
      *(const char **)row->value = *choice;
      return;
    }
  const char *nearest = nearest_name(text, row->choices);
  char list[HELP_SIZE] = "";
  int used = 0;
  for (const char *const *choice = row->choices; *choice && used < HELP_SIZE; choice++)
    used +=
        snprintf(list + used, HELP_SIZE - (size_t)used, "%s%s", choice == row->choices ? "" : ", ", *choice);
  if (nearest)
    bad_value(place, row->name, "'%s' is not known: did you mean '%s'? (one of %s)", text, nearest, list);
  bad_value(place, row->name, "'%s' is not known (one of %s)", text, list);
}

/* text: NULL for a switch on a command line. */
static void read_row(const struct place *place, const struct option_row *row, const char *text) {
  switch (row->kind) {
    case OPTION_SWITCH:
      if (text && strcmp(text, "yes") && strcmp(text, "no"))
        bad_value(place, row->name, "'%s' is not yes or no", text);
      *(bool *)row->value = !text || text[0] == 'y';
      break;
    case OPTION_WHOLE: read_whole(place, row, text); break;
    case OPTION_NUMBER: read_number(place, row, text); break;
    case OPTION_BYTES: read_bytes(place, row, text); break;
    case OPTION_WORD:
    case OPTION_CONFIG: *(const char **)row->value = text; break;
    case OPTION_CHOICE: read_choice(place, row, text); break;
  }
}

struct parse {
  struct command_line *line;
  bool in_file[MOST_OPTIONS];
  char *first[2]; /* the first word, by a file */
  int out;        /* the row of --out */
};

/* ---- Files of options ---- */

/* The whole of a file as text, for the life of the program. */
static char *read_file(const char *path) {
  enum { LARGEST = 1 << 20 };
  static char text[LARGEST + 1];
  FILE *file = fopen(path, "r");
  errno = file ? 0 : errno;
  size_t length = file ? fread(text, 1, sizeof text, file) : 0;
  if (!file || ferror(file)) exit(fail_with("--config: '%s' cannot be read: %s", path, strerror(errno)));
  fclose(file);
  if (length > LARGEST || memchr(text, '\0', length))
    exit(fail_with("--config: '%s' is not a file of lines `key = value`", path));
  text[length] = '\0';
  return text;
}

/* The text without blanks at its ends, cut in place. */
static char *trim(char *text) {
  text += strspn(text, " \t\r");
  size_t length = strlen(text);
  while (length > 0 && strchr(" \t\r", text[length - 1])) length--;
  text[length] = '\0';
  return text;
}

static void unknown_key(const struct place *place, const struct command_line *line, const char *key) {
  const char *names[MOST_OPTIONS + 2];
  int count = 0;
  for (const struct option_row *row = line->rows; row->name; row++) names[count++] = row->name;
  if (line->first) names[count++] = line->first;
  names[count] = NULL;
  const char *nearest = nearest_name(key, names);
  if (nearest) bad_value(place, key, "unknown key; did you mean '%s'?", nearest);
  bad_value(place, key, "unknown key; `%s --help' lists the options", place->command);
}

static void read_line(struct parse *parse, const struct place *place, char *text) {
  struct command_line *line = parse->line;
  char *equals = strchr(text, '=');
  if (!equals) bad_value(place, text, "not of the form `key = value`");
  *equals = '\0';
  char *key = trim(text), *value = trim(equals + 1);
  if (!*key) bad_value(place, value, "there is no key before the `=`");
  if (!*value) bad_value(place, key, "there is no value");
  if (line->first && strcmp(key, line->first) == 0) {
    if (parse->first[0]) bad_value(place, key, "given twice");
    parse->first[0] = value;
    return;
  }
  for (int i = 0; line->rows[i].name; i++) {
    const struct option_row *row = &line->rows[i];
    if (strcmp(key, row->name) != 0) continue;
    if (row->kind == OPTION_CONFIG) bad_value(place, key, "a file cannot name another one");
    if (parse->in_file[i]) bad_value(place, key, "given twice");
    parse->in_file[i] = true;
    if (line->place[i] == OPTION_ON_LINE) return;
    line->place[i] = OPTION_IN_FILE;
    line->file = place->file;
    line->line[i] = place->line;
    if (row->kind != OPTION_WORD && strchr(value, '#'))
      bad_value(place, key, "'%s': a comment stands on a line of its own", value);
    read_row(place, row, value);
    return;
  }
  unknown_key(place, line, key);
}

static void read_config(struct parse *parse, const char *command, const char *path) {
  struct place place = {.command = command, .file = path};
  for (char *at = read_file(path), *text; (text = strsep(&at, "\n"));) {
    place.line++;
    text = trim(text);
    if (*text && *text != '#') read_line(parse, &place, text);
  }
}

static bool is_named(const char *name, const char *const *names) {
  for (; *names; names++)
    if (strcmp(name, *names) == 0) return true;
  return false;
}

/* Numbers outside of their range stand for "not given". */
bool config_write(FILE *file, const struct option_row *rows, const char *const *without) {
  for (const struct option_row *row = rows; row->name; row++) {
    if (is_named(row->name, without)) continue;
    char number[32] = "";
    const char *value = number;
    if (row->kind == OPTION_SWITCH) {
      value = *(const bool *)row->value ? "yes" : "no";
    } else if (row->kind == OPTION_WHOLE) {
      int64_t whole = *(const int64_t *)row->value;
      if ((double)whole >= row->low) snprintf(number, sizeof number, "%lld", (long long)whole);
    } else if (row->kind == OPTION_BYTES) {
      int64_t bytes = *(const int64_t *)row->value;
      if (bytes > 0) snprintf(number, sizeof number, "%lld", (long long)bytes);
    } else if (row->kind == OPTION_NUMBER) {
      double real = *(const double *)row->value;
      for (int digits = 6; real >= row->low && digits <= 17; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, real);
        if (strtod(number, NULL) == real) break;
      }
    } else {
      value = *(const char *const *)row->value;
    }
    if (!value || !*value) continue;
    if (strpbrk(value, "\r\n") || strchr(" \t", value[0]) || strchr(" \t", value[strlen(value) - 1]))
      return false;
    fprintf(file, "%s = %s\n", row->name, value);
  }
  return true;
}

/* ---- Files that are written ---- */

static bool same_place(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether both paths are there and are one regular file. */
static bool same_file(const char *a, const char *b) {
  struct stat of_a, of_b;
  return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && S_ISREG(of_a.st_mode) && same_place(&of_a, &of_b);
}

/* The folder of a path, and what the file is called there; NULL where there is no such folder. */
static const char *split_path(const char *path, struct stat *folder) {
  char text[4096];
  const char *slash = strrchr(path, '/');
  snprintf(text, sizeof text, "%.*s", slash ? (int)(slash + 1 - path) : 1, slash ? path : ".");
  return stat(text, folder) != 0 ? NULL : slash ? slash + 1 : path;
}

/* Whether two files that are still to be written would be one. */
static bool same_new_file(const char *a, const char *b) {
  struct stat of_a, of_b;
  const char *name_a = split_path(a, &of_a), *name_b = split_path(b, &of_b);
  return name_a && name_b && strcmp(name_a, name_b) == 0 && same_place(&of_a, &of_b);
}

/* IDX and CIFAR files are paths with commas between. */
static bool names_file(const char *value, const char *path) {
  char part[4096];
  if (same_file(value, path)) return true;
  for (const char *at = value; strchr(value, ',') && *at; at += strspn(at, ",")) {
    size_t length = strcspn(at, ",");
    snprintf(part, sizeof part, "%.*s", (int)length, at);
    if (same_file(part, path)) return true;
    at += length;
  }
  return false;
}

static const char *row_word(const struct option_row *row) {
  bool is_word = row->kind == OPTION_WORD || row->kind == OPTION_CONFIG;
  return is_word ? *(const char *const *)row->value : NULL;
}

void refuse_overwriting(const char *command, const struct command_line *line) {
  for (const struct option_row *row = line->rows; row && row->name; row++) {
    const char *path = row->writes ? row_word(row) : NULL;
    if (!path) continue;
    for (int i = 0; i < line->count; i++)
      if (same_file(line->word[i], path))
        usage_error(command, "--%s: '%s' is read and would be replaced; name another file", row->name, path);
    for (const struct option_row *other = line->rows; other->name; other++) {
      const char *value = other == row ? NULL : row_word(other);
      if (value && (names_file(value, path) || (other->writes && same_new_file(value, path))))
        usage_error(command, "--%s and --%s name the same file", row->name, other->name);
    }
  }
}

/* ---- argp ---- */

/* IMAGE of "MODEL IMAGE...", where there is one word. */
static const char *missing_word(const struct command_line *line) {
  static char name[64];
  const char *words = line->words;
  for (int i = 0; i < line->count; i++) words += strcspn(words, " ") + 1;
  snprintf(name, sizeof name, "%.*s", (int)strcspn(words, " ."), words);
  return name;
}

static error_t parse_one(int key, char *text, struct argp_state *state) {
  struct parse *parse = state->input;
  struct command_line *line = parse->line;
  int index = key == OUT_KEY ? parse->out : key - FIRST_KEY;
  if (index >= 0 && index < MOST_OPTIONS) {
    const struct option_row *row = &line->rows[index];
    enum option_place *place = &line->place[index];
    if (row->kind == OPTION_CONFIG && *place == OPTION_ON_LINE)
      usage_error(state->name, "--%s is given twice", row->name);
    *place = OPTION_ON_LINE;
    read_row(&(struct place){.command = state->name}, row, text);
    if (row->kind == OPTION_CONFIG) read_config(parse, state->name, text);
    return 0;
  }
  switch (key) {
    case 'h': argp_state_help(state, state->out_stream, ARGP_HELP_STD_HELP); return 0;
    case ARGP_KEY_ARGS:
      line->word = state->argv + state->next;
      line->count = state->argc - state->next;
      return 0;
    case ARGP_KEY_END:
      if (line->count == 0 && parse->first[0]) line->word = parse->first, line->count = 1;
      if (line->count < line->least) usage_error(state->name, "%s is missing", missing_word(line));
      if (line->count > line->most)
        usage_error(state->name, "'%s' is one argument too many", line->word[line->most]);
      for (int i = 0; line->rows && line->rows[i].name; i++)
        if (line->rows[i].required && line->place[i] == OPTION_NOWHERE)
          usage_error(state->name, "--%s %s is missing: %s", line->rows[i].name, line->rows[i].argument,
                      line->rows[i].help);
      return 0;
    default: return ARGP_ERR_UNKNOWN;
  }
}

/* The row of a name that may be cut short, or NULL. */
static const struct option_row *find_row(const struct option_row *rows, const char *name, size_t length) {
  for (; rows && rows->name; rows++)
    if (strncmp(rows->name, name, length) == 0) return rows;
  return NULL;
}

/* getopt's answer to an unknown option names no near one, so unknown ones are found before. */
static void refuse_unknown_options(const struct command_line *line, int argc, char **argv) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strncmp(argv[i], "--", 2) != 0) continue;
    const char *name = argv[i] + 2;
    size_t length = strcspn(name, "=");
    const struct option_row *row = find_row(line->rows, name, length);
    if (!row) row = find_row(argp_rows, name, length);
    if (row) {
      if (row->argument && name[length] == '\0') i++;
      continue;
    }
    const char *names[MOST_OPTIONS + 1];
    int count = 0;
    for (int k = 0; line->rows && line->rows[k].name; k++) names[count++] = line->rows[k].name;
    names[count] = NULL;
    char word[LONGEST_NAME + 1];
    snprintf(word, sizeof word, "%.*s", (int)length, name);
    const char *nearest = nearest_name(word, names);
    if (nearest) usage_error(argv[0], "unknown option '--%s': did you mean '--%s'?", word, nearest);
    usage_error(argv[0], "unknown option '--%s'", word);
  }
}

void command_line_parse(struct command_line *line, int argc, char **argv) {
  static char help[MOST_OPTIONS][HELP_SIZE];
  static char about[4096];
  struct argp_option table[MOST_OPTIONS + 2];
  int rows = 0;
  memset(table, 0, sizeof table);
  static struct parse parse; /* static: line->word may point into it */
  parse = (struct parse){.line = line};
  for (; line->rows && line->rows[rows].name && rows < MOST_OPTIONS; rows++) {
    const struct option_row *row = &line->rows[rows];
    bool out = strcmp(row->name, "out") == 0;
    if (out) parse.out = rows;
    write_help(row, help[rows], HELP_SIZE);
    table[rows] = (struct argp_option){.name = row->name,
                                       .key = out ? OUT_KEY : FIRST_KEY + rows,
                                       .arg = row->argument,
                                       .doc = help[rows],
                                       .group = rows + 1};
  }
  table[rows] = (struct argp_option){.key = 'h', .flags = OPTION_HIDDEN, .doc = "", .group = -1};
  snprintf(about, sizeof about, "%s%s%s", line->about, line->after ? "\v" : "",
           line->after ? line->after : "");

  refuse_unknown_options(line, argc, argv);
  argp_err_exit_status = EXIT_USAGE;
  argp_program_version_hook = print_version;
  setenv("ARGP_HELP_FMT", "dup-args-note=0,opt-doc-col=24,rmargin=110", 0);
  struct argp argp = {.options = table, .parser = parse_one, .args_doc = line->words, .doc = about};
  line->count = 0;
  memset(line->place, 0, sizeof line->place);
  error_t error = argp_parse(&argp, argc, argv, 0, NULL, &parse);
  if (error) usage_error(argv[0], "%s", strerror(error));
  refuse_overwriting(argv[0], line);
}

enum option_place option_place(const struct command_line *line, const char *name) {
  int i = 0;
  while (strcmp(line->rows[i].name, name) != 0) i++;
  return line->place[i];
}

/* Whether the sentence is about the option: its name, with _ for -, is the first word or the second. */
static bool is_about(const char *sentence, const char *name) {
  for (int word = 0; word < 2 && *sentence; word++) {
    size_t length = strcspn(sentence, " :=;,"), i = 0;
    while (i < length && name[i] && (sentence[i] == name[i] || (sentence[i] == '_' && name[i] == '-'))) i++;
    if (i == length && name[i] == '\0') return true;
    sentence += length + (sentence[length] != '\0');
  }
  return false;
}

int option_fail(const char *command, const struct command_line *line) {
  for (int i = 0; line->rows[i].name; i++) {
    const struct option_row *row = &line->rows[i];
    struct place place = {.command = command};
    if (row->required || row->writes || line->place[i] == OPTION_NOWHERE || !is_about(cnn_why(), row->name))
      continue;
    if (line->place[i] == OPTION_IN_FILE) place.file = line->file, place.line = line->line[i];
    const char *why = cnn_why();
    size_t length = strlen(row->name);
    if (strncmp(why, row->name, length) == 0 && why[length] == ':') why += length + 2; /* said already */
    bad_value(&place, row->name, "%s", why);
  }
  return fail();
}
