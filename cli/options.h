/* Command lines: one table a command, from which argp makes the parsing and `--help`. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define EXIT_USAGE 2

enum option_kind {
  OPTION_SWITCH, /* value: bool */
  OPTION_WHOLE,  /* value: int64_t */
  OPTION_NUMBER, /* value: double */
  OPTION_BYTES,  /* value: int64_t; 4096, 200M, 1.5G, in powers of 1000 */
  OPTION_WORD,   /* value: const char * */
  OPTION_CHOICE, /* value: const char *, one of choices */
  OPTION_CONFIG, /* value: const char *, a file that gives options; see command_line_parse() */
};

/* One option. *value holds the default beforehand and what was given afterwards. */
struct option_row {
  const char *name;     /* "epochs" for --epochs */
  const char *argument; /* "N"; NULL for a switch */
  const char *help;     /* with the unit; the default, or the choices, are added */
  enum option_kind kind;
  void *value;
  double low, high;           /* OPTION_WHOLE, OPTION_NUMBER: both allowed */
  const char *standard;       /* the default in words, where *value does not say it */
  const char *const *choices; /* OPTION_CHOICE: ended by NULL */
  bool required;
  bool writes; /* OPTION_WORD: a file that the command replaces, so no file that it reads */
  bool below;  /* OPTION_NUMBER: below high, not high itself */
};

/* Where an option was given: the higher wins. */
enum option_place { OPTION_NOWHERE, OPTION_IN_FILE, OPTION_ON_LINE };
enum { MOST_OPTIONS = 64 };

/* A command's usage, and the words (what is not an option) that were given. */
struct command_line {
  const char *words;             /* "NET" */
  const char *about;             /* above the options */
  const char *after;             /* below them; may be NULL */
  int least, most;               /* words allowed */
  const struct option_row *rows; /* ended by a row with no name; may be NULL */
  const char *first;             /* the key by which a file may give the first word; NULL: none */
  char **word;
  int count;
  enum option_place place[MOST_OPTIONS]; /* of each row */
  const char *file;                      /* the one that gave options, or NULL */
  int line[MOST_OPTIONS];                /* of that file */
};

#define NO_LIMIT_OF_WORDS 1000000
#define LARGEST_BATCH     16777216           /* the library's */
#define LARGEST_SEED      9007199254740991.0 /* 2^53 - 1: what every reader of JSON keeps */

/* Reads argv into line->rows and line->word. On --help, --usage and --version it prints and exits with
 * 0; on wrong usage it says what is wrong and exits with 2.
 *
 * A file named by an OPTION_CONFIG has a line `key = value` for each option, the option's name being the key,
 * and yes or no for a switch; a line that begins with # is a comment. What is also given on the command line
 * is taken from there. What is wrong in the file is said with its name and line; exits with 1. */
void command_line_parse(struct command_line *line, int argc, char **argv);

/* Refuses an option that names, in whatever words, a file which a word or another option names too: it would
 * be replaced. Done by command_line_parse(), and to be done again where a command chooses the file itself. */
void refuse_overwriting(const char *command, const struct command_line *line);

/* After that, where the option of that name, one of line->rows, was given. */
enum option_place option_place(const struct command_line *line, const char *name);

/* After a failure of the library: where its sentence begins with the name of an option that was given, as
 * "ema is 2; it must be ...", that option is at fault. Says so as command_line_parse() would and exits; else
 * fail(). */
int option_fail(const char *command, const struct command_line *line);

/* The line of such a file for each option that has a value, but for those named in `without` (ended by NULL).
 * False where a value does not fit in a line. */
bool config_write(FILE *file, const struct option_row *rows, const char *const *without);

/* Says what is wrong with the usage of `command` ("cnn train"), points at its --help, exits with 2. */
_Noreturn void usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Of the names (ended by NULL) the one with the fewest edits to `word`; NULL where none is near. */
const char *nearest_name(const char *word, const char *const *names);

/* The names of the optimisers, ended by NULL. */
const char *const *optimizer_names(void);

/* Rows of a table. standard: the default in words, or NULL where the value says it. */
#define ROW_SWITCH(option, target, text) \
  { .name = (option), .help = (text), .kind = OPTION_SWITCH, .value = (target) }
#define ROW_WHOLE(option, word, target, least, most, words, text)                                  \
  {                                                                                                \
    .name = (option), .argument = (word), .help = (text), .kind = OPTION_WHOLE, .value = (target), \
    .low = (least), .high = (most), .standard = (words)                                            \
  }
#define ROW_NUMBER(option, word, target, least, most, words, text)                                  \
  {                                                                                                 \
    .name = (option), .argument = (word), .help = (text), .kind = OPTION_NUMBER, .value = (target), \
    .low = (least), .high = (most), .standard = (words)                                             \
  }
#define ROW_NUMBER_BELOW(option, word, target, least, end, words, text)                             \
  {                                                                                                 \
    .name = (option), .argument = (word), .help = (text), .kind = OPTION_NUMBER, .value = (target), \
    .low = (least), .high = (end), .standard = (words), .below = true                               \
  }
#define ROW_WORD(option, word, target, words, text)                                               \
  {                                                                                               \
    .name = (option), .argument = (word), .help = (text), .kind = OPTION_WORD, .value = (target), \
    .standard = (words)                                                                           \
  }
#define ROW_FILE_TO_WRITE(option, target, words, text)                                            \
  {                                                                                               \
    .name = (option), .argument = "FILE", .help = (text), .kind = OPTION_WORD, .value = (target), \
    .standard = (words), .writes = true                                                           \
  }
#define ROW_CHOICE(option, word, target, names, text)                                               \
  {                                                                                                 \
    .name = (option), .argument = (word), .help = (text), .kind = OPTION_CHOICE, .value = (target), \
    .choices = (names)                                                                              \
  }
#define ROW_CONFIG(target)                                                                               \
  {                                                                                                      \
    .name = "config", .argument = "FILE", .help = "read options from a file, a line `key = value` each", \
    .kind = OPTION_CONFIG, .value = (target), .standard = "none"                                         \
  }
#define ROW_END \
  { .name = 0 }

/* Rows that several commands have. */
#define ROW_DATA(target)                                                                                    \
  {                                                                                                         \
    .name = "data", .argument = "DATA", .help = "data set's name, IDX or CIFAR files, or folder of images", \
    .kind = OPTION_WORD, .value = (target), .required = true                                                \
  }
#define ROW_THREADS(target) \
  ROW_WHOLE("threads", "N", target, 1, 256, "one for each processor", "threads to compute on")
#define ROW_LIMIT(target) ROW_WHOLE("limit", "N", target, 1, 1e15, "all", "use the first N images of a split")
#define ROW_MEMORY(target)                                                                     \
  {                                                                                            \
    .name = "memory", .argument = "SIZE",                                                      \
    .help = "a folder of more decoded images than this, as 200M, is read anew in every epoch", \
    .kind = OPTION_BYTES, .value = (target), .standard = "half of the machine's"               \
  }
#define ROW_JSON(target) ROW_SWITCH("json", target, "print JSON")

#endif
