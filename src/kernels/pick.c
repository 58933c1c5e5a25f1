/* Which instruction set runs: chosen once, at the first use. $CNN_ISA lowers it; $CNN_VERBOSE with
 * "dispatch" in it makes the choice speak on standard error. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "core/threads.h"
#include "kernels/kernels.h"

extern const struct kernel_table kernels_scalar;
#if defined(__x86_64__)
extern const struct kernel_table kernels_avx2, kernels_avx512;

static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static bool has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#elif defined(__aarch64__)
extern const struct kernel_table kernels_neon;
#endif

static bool always(void) { return true; }

/* From the best to the plainest. */
static const struct {
  const char *name;
  bool (*runs)(void);
  const struct kernel_table *table;
} choices[] = {
#if defined(__x86_64__)
    {"avx512", has_avx512, &kernels_avx512},
    {"avx2", has_avx2, &kernels_avx2},
#elif defined(__aarch64__)
    {"neon", always, &kernels_neon},
#endif
    {"scalar", always, &kernels_scalar},
};
enum { CHOICES = sizeof choices / sizeof *choices };

const struct kernel_table *kernels_find(const char *name) {
  for (int i = 0; i < CHOICES; i++)
    if (strcmp(choices[i].name, name) == 0) return choices[i].runs() ? choices[i].table : NULL;
  return NULL;
}

static const struct kernel_table *picked;
static char asked[32];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void pick(void) {
  const char *wish = getenv("CNN_ISA"), *verbose = getenv("CNN_VERBOSE");
  snprintf(asked, sizeof asked, "%s", wish ? wish : "");
  if (*asked)
    picked = kernels_find(asked);
  else
    for (int i = 0; i < CHOICES && !picked; i++)
      if (choices[i].runs()) picked = choices[i].table;
  if (verbose && strstr(verbose, "dispatch"))
    fprintf(stderr, "cnn: dispatch: %s%s%s\n", picked ? picked->name : "none",
            *asked ? ", asked for by CNN_ISA=" : "", *asked ? asked : ", the best this machine has");
}

void kernels_use(const struct kernel_table *table) {
  pthread_once(&once, pick);
  picked = table;
}

cnn_status kernels_pick(const struct kernel_table **table) {
  pthread_once(&once, pick);
  if (picked) {
    *table = picked;
    return CNN_OK;
  }
  struct text known = {0};
  bool named = false;
  for (int i = 0; i < CHOICES; i++) {
    if (strcmp(choices[i].name, asked) == 0) named = true;
    if (choices[i].runs()) text_add(&known, "%s%s", known.length ? ", " : "", choices[i].name);
  }
  cnn_status status = CNN_FAIL(CNN_E_UNSUPPORTED,
                               named ? "CNN_ISA=%s: this machine lacks it; it has %s"
                                     : "CNN_ISA=%s: no such instruction set; this machine has %s",
                               asked, known.data ? known.data : "scalar");
  text_free(&known);
  return status;
}

cnn_status cnn_isa(const char **name) {
  const struct kernel_table *table;
  CNN_TRY(kernels_pick(&table));
  *name = table->name;
  return CNN_OK;
}

int cnn_processors(void) { return threads_processors(); }

struct peak {
  const struct kernel_table *table;
  double flops[256];
};

static void peak_task(void *context, int64_t task, int thread) {
  struct peak *peak = context;
  (void)thread;
  peak->flops[task] = peak->table->fma_chain(1 << 20);
}

cnn_status cnn_fma_peak(int threads, double *gflops) {
  struct peak peak;
  CNN_TRY(kernels_pick(&peak.table));
  if (threads < 1 || threads > 256)
    return CNN_FAIL(CNN_E_ARGUMENT, "threads is %d; it must be 1 to 256", threads);
  double best = 0;
  threads_run(threads, threads, peak_task, &peak);
  for (int turn = 0; turn < 5; turn++) {
    double start = threads_seconds(), flops = 0;
    threads_run(threads, threads, peak_task, &peak);
    double seconds = threads_seconds() - start;
    for (int i = 0; i < threads; i++) flops += peak.flops[i];
    if (flops / seconds > best) best = flops / seconds;
  }
  *gflops = best * 1e-9;
  return CNN_OK;
}
