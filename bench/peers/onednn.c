/* onednn THREADS [PATTERN [ROUNDS [SECONDS]]]
 *
 * oneDNN's convolution primitives on the layers of convolutions.def, in three directions, for comparison
 * with ours: layouts of its own choice, values in them already, so that no reorder is timed. Biases are
 * added forward, and their gradient belongs to that of the weights. One line a row:
 *     NAME/BATCH/DIRECTION THREADS GFLOP/s [LEAST .. MOST] MILLISECONDS IMPLEMENTATION VERSION */
#include <dnnl.h>
#include <omp.h>

#include "measure.h"

enum { SRC, WEIGHTS, BIAS, DST, TENSORS };
enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, DIRECTIONS };
static const char *const directions[DIRECTIONS] = {"forward", "backward-data", "backward-weights"};

struct layer {
  const char *name;
  int64_t c, h, w, filters, kernel, stride, pad, groups;
  bool first;
  int64_t batch[3];
};

static const struct layer layers[] = {
#define CONVOLUTION(name, c, h, w, filters, kernel, stride, pad, groups, first, b0, b1, b2) \
  {name, c, h, w, filters, kernel, stride, pad, groups, first, {b0, b1, b2}},
#include "convolutions.def"
#undef CONVOLUTION
};

struct bench {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_t primitive;
  dnnl_memory_t memory[TENSORS];
  dnnl_exec_arg_t args[TENSORS];
};

static void check(dnnl_status_t status, const char *what) {
  if (status == dnnl_success) return;
  fprintf(stderr, "onednn: %s failed with status %d\n", what, (int)status);
  exit(EXIT_FAILURE);
}

/* Memory of the layout the primitive asks for, filled with values in (-1, 1). */
static void fill(struct bench *bench, int tensor, const_dnnl_primitive_desc_t primitive, int arg) {
  const dnnl_memory_desc_t *desc = dnnl_primitive_desc_query_md(primitive, dnnl_query_exec_arg_md, arg);
  uint64_t state = 88172645463325252ULL;
  void *data;
  check(dnnl_memory_create(&bench->memory[tensor], desc, bench->engine, DNNL_MEMORY_ALLOCATE), "memory");
  check(dnnl_memory_get_data_handle(bench->memory[tensor], &data), "memory");
  float *values = data;
  for (size_t i = 0; i < dnnl_memory_desc_get_size(desc) / sizeof *values; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    values[i] = (float)(int32_t)(uint32_t)(state >> 32) * 0x1p-31f;
  }
}

static int run(void *context) {
  struct bench *bench = context;
  check(dnnl_primitive_execute(bench->primitive, bench->stream, TENSORS, bench->args), "execution");
  return dnnl_stream_wait(bench->stream) != dnnl_success;
}

/* The four tensors' descriptions, their layout left to oneDNN; grouped weights have five dimensions. */
static void describe(const struct layer *l, int64_t batch, dnnl_memory_desc_t md[TENSORS]) {
  int64_t oh = (l->h + 2 * l->pad - l->kernel) / l->stride + 1;
  int64_t ow = (l->w + 2 * l->pad - l->kernel) / l->stride + 1, grouped = l->groups > 1;
  dnnl_dims_t src = {batch, l->c, l->h, l->w}, dst = {batch, l->filters, oh, ow}, bias = {l->filters};
  dnnl_dims_t weights = {l->groups, l->filters / l->groups, l->c / l->groups, l->kernel, l->kernel};
  check(dnnl_memory_desc_init_by_tag(&md[SRC], 4, src, dnnl_f32, dnnl_format_tag_any), "src");
  check(dnnl_memory_desc_init_by_tag(&md[DST], 4, dst, dnnl_f32, dnnl_format_tag_any), "dst");
  check(dnnl_memory_desc_init_by_tag(&md[WEIGHTS], 4 + (int)grouped, weights + !grouped, dnnl_f32,
                                     dnnl_format_tag_any),
        "weights");
  check(dnnl_memory_desc_init_by_tag(&md[BIAS], 1, bias, dnnl_f32, dnnl_a), "bias");
}

static dnnl_primitive_desc_t choose(const struct bench *bench, const struct layer *l, int64_t batch,
                                    int direction) {
  dnnl_memory_desc_t md[TENSORS];
  dnnl_convolution_desc_t desc;
  dnnl_primitive_desc_t forward, chosen;
  dnnl_dims_t stride = {l->stride, l->stride}, pad = {l->pad, l->pad};
  describe(l, batch, md);
  check(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct, &md[SRC],
                                           &md[WEIGHTS], &md[BIAS], &md[DST], stride, pad, pad),
        "forward");
  check(dnnl_primitive_desc_create(&forward, &desc, NULL, bench->engine, NULL), "forward");
  if (direction == FORWARD) return forward;
  if (direction == BACKWARD_DATA)
    check(dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &md[SRC], &md[WEIGHTS],
                                                   &md[DST], stride, pad, pad),
          "backward-data");
  else
    check(dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &md[SRC], &md[WEIGHTS],
                                                      &md[BIAS], &md[DST], stride, pad, pad),
          "backward-weights");
  check(dnnl_primitive_desc_create(&chosen, &desc, NULL, bench->engine, forward), directions[direction]);
  dnnl_primitive_desc_destroy(forward);
  return chosen;
}

static void bench_row(struct bench *bench, const struct layer *l, int64_t batch, int direction, int rounds,
                      double seconds, const char *name) {
  static const int tensor_of[DIRECTIONS][TENSORS] = {
      {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST},
      {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, 0, DNNL_ARG_DIFF_DST},
      {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS, DNNL_ARG_DIFF_DST}};
  dnnl_primitive_desc_t desc = choose(bench, l, batch, direction);
  const char *implementation = "?";
  struct timing t;
  dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &implementation);
  check(dnnl_primitive_create(&bench->primitive, desc), "primitive");
  for (int i = 0; i < TENSORS; i++) {
    int arg = tensor_of[direction][i];
    if (arg) fill(bench, i, desc, arg);
    bench->args[i] = (dnnl_exec_arg_t){arg, bench->memory[i]};
  }
  measure(run, bench, rounds, seconds, &t);
  int64_t oh = (l->h + 2 * l->pad - l->kernel) / l->stride + 1;
  int64_t ow = (l->w + 2 * l->pad - l->kernel) / l->stride + 1;
  int64_t depth = l->c / l->groups * l->kernel * l->kernel;
  double flops = 2e-9 * (double)(batch * l->filters * oh * ow * depth);
  printf("%-40s %d  %7.1f [%7.1f .. %7.1f]  %9.4f  %s %d.%d.%d\n", name, omp_get_max_threads(),
         flops / t.median, flops / t.most, flops / t.least, 1e3 * t.median, implementation,
         dnnl_version()->major, dnnl_version()->minor, dnnl_version()->patch);
  fflush(stdout);
  for (int i = 0; i < TENSORS; i++) {
    dnnl_memory_destroy(bench->memory[i]);
    bench->memory[i] = NULL;
  }
  dnnl_primitive_destroy(bench->primitive);
  dnnl_primitive_desc_destroy(desc);
}

int main(int argc, char **argv) {
  struct bench bench = {0};
  int threads = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
  int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 5;
  double seconds = argc > 4 ? strtod(argv[4], NULL) : 0.1;
  if (threads < 1 || rounds < 1 || rounds > MOST_ROUNDS) {
    fprintf(stderr, "usage: onednn THREADS [PATTERN [ROUNDS [SECONDS]]]\n");
    return 2;
  }
  omp_set_num_threads(threads);
  check(dnnl_engine_create(&bench.engine, dnnl_cpu, 0), "engine");
  check(dnnl_stream_create(&bench.stream, bench.engine, dnnl_stream_default_flags), "stream");
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
    for (int b = 0; b < 3 && layers[i].batch[b]; b++)
      for (int d = 0; d < DIRECTIONS; d++) {
        char name[96];
        snprintf(name, sizeof name, "conv/%s/%d/%s", layers[i].name, (int)layers[i].batch[b], directions[d]);
        if (wanted(name, argc > 2 ? argv[2] : NULL))
          bench_row(&bench, &layers[i], layers[i].batch[b], d, rounds, seconds, name);
      }
  dnnl_stream_destroy(bench.stream);
  dnnl_engine_destroy(bench.engine);
  return 0;
}
