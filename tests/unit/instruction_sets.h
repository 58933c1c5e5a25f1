/* For tests: the names of all kernel tables. kernels_find() knows which of them this machine has. */
#ifndef TESTS_UNIT_INSTRUCTION_SETS_H
#define TESTS_UNIT_INSTRUCTION_SETS_H

#include "kernels/kernels.h"

static const char *const instruction_sets[] = {"scalar", "avx2", "avx512", "neon"};
enum { SETS = sizeof instruction_sets / sizeof *instruction_sets };

#endif
