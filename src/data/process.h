/* Running a program (npm, tar, curl) and learning why it failed.
 *
 * No shell; standard input is empty; everything the program prints goes to a log file, of which the
 * telling line is quoted. Called by fetch.c only. */
#ifndef CNN_DATA_PROCESS_H
#define CNN_DATA_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* Run arguments[0], found on $PATH, in folder, its output in folder/log; kill it after `seconds`.
 * True where it exited with 0. Else false, and reason holds a short phrase such as "not installed"
 * or what the program said. */
bool process_run(const char *const *arguments, const char *folder, const char *log, int seconds, char *reason,
                 size_t reason_size);

#endif
