/* Every fast path at its edges: shapes that are chosen to meet the tails, the corners, the single pixels and
 * the odd counts of what src/kernels/body_product.h, src/layers/conv.c, affine.c and the others do in blocks.
 * Values against the plain loops, in double; the same bits from every kernel table and from 1 and 7 threads.
 */
#include "engine.h"
#include "random.h"

/* ---- the matrix product ---- */

enum { MOST_ROWS = 25, MOST_COLUMNS = 70, MOST_DEPTH = 3 * 384 + 1, PANELS = (MOST_COLUMNS + 15) / 16 };

struct operands {
  float a[MOST_DEPTH + 7 * MOST_ROWS], b[PANELS][MOST_DEPTH][BLOCK], start[PANELS * BLOCK];
  int32_t a_row[MOST_ROWS], c_row[MOST_ROWS];
  struct run runs[MOST_DEPTH];
};

/* Rows 7 floats apart; runs of `longest` steps, which reach across the blocks of 384. */
static void check_product(struct operands *o, int64_t rows, int64_t columns, int64_t depth, int longest,
                          bool add) {
  static float expected[MOST_ROWS][PANELS * BLOCK], c[MOST_ROWS][PANELS * BLOCK];
  struct product p = {.a = o->a, .b = &o->b[0][0][0], .a_row = o->a_row, .c_row = o->c_row, .runs = o->runs};
  int count = 0;
  for (int32_t k = 0; k < depth; k += longest)
    o->runs[count++] = (struct run){k, k * BLOCK, depth - k < longest ? (int32_t)depth - k : longest};
  p.a_step = 1;
  p.b_step = BLOCK;
  p.rows = rows;
  p.columns = columns;
  p.depth = depth;
  p.b_panel = MOST_DEPTH * BLOCK;
  p.c_panel = BLOCK;
  p.start = o->start;
  p.add = add;
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) {
      float sum = add ? (float)(i - j) : o->start[j];
      for (int64_t k = 0; k < depth; k++)
        sum = fmaf(o->a[o->a_row[i] + k], o->b[j / BLOCK][k][j % BLOCK], sum);
      expected[i][j] = sum;
    }
  for (int s = 0; s < SETS; s++) {
    const struct kernel_table *table = kernels_find(instruction_sets[s]);
    if (!table) continue;
    for (int64_t i = 0; i < MOST_ROWS; i++)
      for (int64_t j = 0; j < PANELS * BLOCK; j++) c[i][j] = (float)(i - j);
    p.c = &c[0][0];
    table->product(&p);
    for (int64_t i = 0; i < MOST_ROWS; i++) {
      if (i < rows && memcmp(c[i], expected[i], (size_t)columns * sizeof(float)) != 0)
        fail_msg("%s: %" PRId64 "x%" PRId64 "x%" PRId64 ", runs of %d: row %" PRId64 " is wrong", table->name,
                 rows, depth, columns, longest, i);
      int64_t end = i < rows ? (columns + BLOCK - 1) / BLOCK * BLOCK : 0;
      for (int64_t j = end; j < PANELS * BLOCK; j++)
        if (c[i][j] != (float)(i - j))
          fail_msg("%s: row %" PRId64 " is written past its end", table->name, i);
    }
  }
}

static void products(void **state) {
  (void)state;
  static const int64_t depths[] = {0, 1, 2, 383, 384, 385, 767, 768, 769, MOST_DEPTH};
  static struct operands o;
  struct random random = random_from(3);
  for (size_t i = 0; i < sizeof o.a / sizeof *o.a; i++) o.a[i] = (float)draw(&random, -1000, 1000) / 999;
  for (int64_t i = 0; i < PANELS * MOST_DEPTH * BLOCK; i++)
    (&o.b[0][0][0])[i] = (float)draw(&random, -1000, 1000) / 997;
  for (int i = 0; i < PANELS * BLOCK; i++) o.start[i] = (float)i;
  for (int i = 0; i < MOST_ROWS; i++) o.a_row[i] = 7 * i, o.c_row[i] = i * PANELS * BLOCK;
  for (int64_t rows = 1; rows <= MOST_ROWS; rows++)
    for (int64_t columns = 1; columns <= MOST_COLUMNS; columns++)
      check_product(&o, rows, columns, 1 + (rows + columns) % 9, 1 + (int)(columns % 4),
                    (rows + columns) % 3 == 0);
  for (size_t d = 0; d < sizeof depths / sizeof *depths; d++)
    for (int64_t rows = 1; rows <= MOST_ROWS; rows += rows < 7 ? 1 : 6)
      for (int64_t columns = 1; columns <= 65; columns += 16)
        check_product(&o, rows, columns, depths[d], rows % 2 ? 5 : MOST_DEPTH, columns % 3 == 0);
}

/* ---- layers ---- */

static void compare(const struct probe *p, const struct engine *e, const char *what, const char *words) {
  for (int part = 0; part < PROBE_PARTS; part++) {
    double error = 0, norm = 0;
    for (int64_t i = 0; i < p->count[part]; i++) {
      double d = (double)e->part[part][i] - p->naive[part][i];
      error += d * d;
      norm += p->naive[part][i] * p->naive[part][i];
    }
    if (!(error <= 2.5e-11 * norm)) /* relative, in norm: 5e-6 */
      fail_msg("%s %s: %s: %g of %g", what, words, probe_names[part], error, norm);
  }
}

static void same_bits(const struct probe *p, int parts, const struct engine *e, const struct engine *other,
                      const char *what, const char *words, const char *how) {
  for (int part = 0; part < parts; part++)
    if (memcmp(e->part[part], other->part[part], (size_t)p->count[part] * sizeof(float)) != 0)
      fail_msg("%s %s: %s: other bits with %s", what, words, probe_names[part], how);
}

/* The probe's layer with this group, at the input or inside: values, then the same bits in every way. */
static void check_way(const struct probe *p, const char *layer, const char *words, struct way way) {
  char what[128];
  snprintf(what, sizeof what, "%s in=%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 " group %" PRId64 "%s",
           layer, p->in[0].n, p->in[0].c, p->in[0].h, p->in[0].w, way.group, way.inside ? ", inside" : "");
  way.threads = 1;
  struct engine first = engine_run(p, layer, words, way);
  compare(p, &first, what, words);
  for (int s = 0; s <= SETS; s++) {
    struct way other = way;
    if (s < SETS && !(other.table = kernels_find(instruction_sets[s]))) continue;
    if (s == SETS) other.threads = 7;
    struct engine e = engine_run(p, layer, words, other);
    same_bits(p, PROBE_PARTS, &first, &e, what, words, s < SETS ? instruction_sets[s] : "7 threads");
    engine_free(&e);
  }
  for (int threads = 1; threads <= 7 && strcmp(layer, "dropout") != 0; threads += 6) {
    struct way other = way;
    other.infer = true;
    other.threads = threads;
    struct engine e = engine_run(p, layer, words, other);
    same_bits(p, PROBE_OUTPUT + 1, &first, &e, what, words, "a plan for inference");
    engine_free(&e);
  }
  engine_free(&first);
}

/* The group: 0 for the plan's choice. Returns false where the layer does not take this shape. */
static bool check(const char *layer, cnn_shape in, int64_t group, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool check(const char *layer, cnn_shape in, int64_t group, const char *format, ...) {
  char words[256];
  va_list arguments;
  va_start(arguments, format);
  int used = vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  if (strcmp(layer, "conv") == 0 || strcmp(layer, "affine") == 0 ||
      strcmp(layer, "table-conv") == 0) /* weights are set later, not drawn */
    snprintf(words + used, sizeof words - (size_t)used, " init=zeros");
  struct probe *p;
  cnn_status status = probe_new(layer, words, in, 7, 1, &p);
  if (status == CNN_E_SHAPE) return false;
  if (status != CNN_OK) fail_msg("%s %s: %s", layer, words, cnn_why());
  const struct layer_class *class;
  ok(layer_find(layer, &class));
  check_way(p, layer, words, (struct way){.group = group});
  if (class->any_block) check_way(p, layer, words, (struct way){.group = group, .inside = true});
  probe_free(p);
  return true;
}

#define CHECK(layer, n, c, h, w, ...) assert_true(check(layer, (cnn_shape){n, c, h, w}, 0, __VA_ARGS__))

/* Filters, channels and positions of every count: tails of panels, of blocks and of tiles of rows. */
static void conv_tails(void **state) {
  (void)state;
  for (int i = 1; i <= 34; i++) {
    CHECK("conv", 2, 3, 3, 3, "kernel=2 filters=%d", i);
    CHECK("conv", 2, i, 3, 3, "kernel=2 filters=5");
    CHECK("conv", 1, 5, 1, i, "kernel=1 filters=18");
    CHECK("conv", 1, 2, 2, i, "kernel=3 pad=1 filters=17");
  }
  static const int depths[] = {383, 384, 385, 767, 768, 769};
  for (int i = 0; i < 6; i++) {
    CHECK("conv", 2, depths[i], 2, 2, "kernel=1 filters=3");
    CHECK("conv", 1, depths[i] / 9, 4, 3, "kernel=3 pad=1 filters=17");
    CHECK("conv", 1, 3, 2, 2, "kernel=1 filters=%d", depths[i]); /* the depth of backward_data */
  }
  CHECK("conv", 2, 1, 16, 24, "kernel=1 filters=2");       /* of backward_weights: 384, */
  CHECK("conv", 1, 2, 11, 35, "kernel=3 pad=1 filters=2"); /* 385 */
}

static void conv_windows(void **state) {
  (void)state;
  static const struct {
    int h, w;
    const char *words;
  } cases[] = {
      {5, 5, "kernel=5"},       /* a single position */
      {1, 1, "kernel=3 pad=1"}, /* a single pixel, in the middle */
      {1, 1, "kernel=2 pad=1"}, /* in every corner */
      {1, 1, "kernel=1 pad=3"}, /* most positions meet nothing */
      {1, 7, "kernel=1x3 pad=0x1"},
      {7, 1, "kernel=3x1 pad=1x0"},
      {7, 6, "kernel=2 stride=5x4"}, /* pixels that no filter meets */
      {9, 9, "kernel=1 stride=4"},
      {9, 8, "kernel=1x2 stride=4x3 pad=2x3"}, /* and filters that meet no pixel */
      {8, 8, "kernel=2 stride=7 pad=3"},
      {3, 2, "kernel=2 pad=5"}, /* padding larger than the kernel */
      {2, 3, "kernel=3 pad=7x6 stride=2"},
      {4, 4, "kernel=3 pad=6 dilation=3 stride=2"},
      {2, 2, "kernel=3 dilation=4 pad=4"}, /* only the filter's middle meets anything */
      {3, 3, "kernel=2 dilation=7 pad=4"}, /* taps hop over the image */
      {6, 5, "kernel=3x2 dilation=2x3 pad=2x3 stride=3x2"},
      {9, 9, "kernel=3 dilation=3 stride=2"},
      {7, 7, "kernel=3 stride=2 round=ceil"},
      {6, 6, "kernel=3 stride=2 round=ceil pad=1"},
      {5, 5, "kernel=2 stride=4 round=ceil"},
      {8, 7, "kernel=3 stride=3 round=floor"},
      {12, 12, "kernel=11 stride=4 pad=5 round=floor"},
      {6, 6, "kernel=5 pad=2"},
      {5, 26, "kernel=3 pad=1"},
      {26, 4, "kernel=3 pad=1 stride=1x2"},
  };
  static const int channels[][3] = {{3, 4, 1}, {17, 19, 1}, {6, 9, 3}, {32, 16, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t k = 0; k < sizeof channels / sizeof *channels; k++)
      for (int n = 1; n <= 3; n += 2) {
        const int *c = channels[k];
        const char *round = strstr(cases[i].words, "round") ? "" : " round=floor";
        CHECK("conv", n, c[0], cases[i].h, cases[i].w, "%s%s filters=%d groups=%d bias=%s", cases[i].words,
              round, c[1], c[2], n == 1 ? "yes" : "no");
      }
}

/* Groups of every width, up to one channel each: most begin inside a block of channels or a panel. */
static void conv_groups(void **state) {
  (void)state;
  static const int groups[] = {1, 2, 3, 5, 15, 16, 17, 33}, widths[] = {1, 3, 8, 15, 16, 17, 24, 32};
  for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
      int c = groups[i] * widths[k], other = groups[i] * widths[(k * 3 + i) % 8];
      if (c > 100 || other > 100) continue;
      CHECK("conv", 2, c, 3, 3, "kernel=2 pad=1 filters=%d groups=%d", other, groups[i]);
    }
  for (int c = 1; c <= 33; c += 4) { /* a filter or two for each channel */
    CHECK("conv", 3, c, 4, 5, "kernel=3 pad=1 filters=%d groups=%d", c, c);
    CHECK("conv", 1, c, 4, 4, "kernel=3 stride=2 pad=1 round=floor filters=%d groups=%d", 2 * c, c);
    CHECK("conv", 1, 2 * c, 2, 2, "kernel=1 filters=%d groups=%d", c, c);
  }
}

/* Where channels leave vectors nearly empty their gradient goes through col2im: every number of them, windows
 * of all kinds, and images whose matrix is made in several parts. Where they are 16 the weights' gradient
 * goes by lines. */
static void conv_few_channels(void **state) {
  (void)state;
  for (int c = 1; c <= 24; c++) {
    CHECK("conv", 2, c, 7, 9, "kernel=3x5 pad=1x2 filters=%d", 40 - c);
    CHECK("conv", 1, c, 9, 11, "kernel=5 stride=2x3 pad=2 round=floor filters=%d", 16 + c);
    CHECK("conv", 2, c, 5, 4, "kernel=5x4 filters=9");
  }
  CHECK("conv", 2, 3, 40, 41, "kernel=5 pad=2 filters=8");
  CHECK("conv", 2, 20, 30, 29, "kernel=5 filters=50");
  CHECK("conv", 1, 2, 30, 90, "kernel=11 stride=1x4 pad=5x0 round=floor filters=17");
  CHECK("conv", 2, 16, 30, 28, "kernel=3 pad=1 filters=16");
  CHECK("conv", 1, 12, 37, 250, "kernel=3 pad=1 stride=2x1 round=floor filters=20");
}

/* Where filters are 16 at most their gradient has channels along its vectors: every number of them, filters
 * as large as the image and larger, padding beyond it, lines longer than a chain in the cache. */
static void conv_few_filters(void **state) {
  (void)state;
  for (int f = 1; f <= 17; f++) {
    CHECK("conv", 2, 32, 9, 11, "kernel=3 pad=1 filters=%d", f);
    CHECK("conv", 3, 16, 8, 9, "kernel=4x5 pad=0x2 filters=%d", f);
    CHECK("conv", 2, 48, 11, 10, "kernel=2 stride=2x1 pad=1x0 filters=%d bias=no round=ceil", f);
  }
  CHECK("conv", 2, 16, 9, 9, "kernel=9 pad=8 filters=16");
  CHECK("conv", 2, 16, 9, 10, "kernel=3x2 pad=4x3 stride=3x1 dilation=4x1 filters=7 round=floor");
  CHECK("conv", 1, 16, 2, 400, "kernel=1x7 pad=0x3 filters=16");
  CHECK("conv", 1, 16, 300, 1,
        "kernel=1x1023 stride=8x1 pad=0x511 filters=2 round=floor"); /* too much to copy */
  CHECK("conv", 1, 32, 60, 33, "kernel=3 pad=1 filters=15");
  for (int64_t group = 1; group <= 5; group++)
    assert_true(check("conv", (cnn_shape){7, 16, 10, 9}, group, "kernel=3 pad=1 filters=16"));
}

/* Where an image makes pieces of few rows, a product takes several images: up to 32, of one group. */
static void conv_images(void **state) {
  (void)state;
  static const int batches[] = {1, 2, 3, 31, 32, 33, 40, 65};
  cnn_shape in = {33, 17, 2, 2};
  for (int64_t group = 1; group <= 33; group++)
    assert_true(check("conv", in, group, "kernel=3 pad=1 filters=18 bias=%s", group % 2 ? "yes" : "no"));
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
    in.n = batches[i];
    assert_true(check("conv", in, 0, "kernel=3 pad=1 filters=5"));
    assert_true(check("conv", in, in.n, "kernel=2 filters=33"));
    assert_true(check("conv", (cnn_shape){in.n, 32, 1, 2}, in.n, "kernel=3 pad=1 filters=32 groups=2"));
    assert_true(check("conv", (cnn_shape){in.n, 6, 3, 3}, in.n, "kernel=3 pad=1 filters=6 groups=3"));
    assert_true(
        check("conv", (cnn_shape){in.n, 16, 3, 2}, 7, "kernel=3 pad=2 stride=2 round=floor filters=16"));
  }
}

/* In inference few images share the panels of filters out in parts, where that is worth it. */
static void conv_parts(void **state) {
  (void)state;
  for (int n = 1; n <= 4; n++)
    for (int filters = 33; filters <= 97; filters += 15)
      CHECK("conv", n, 33, 6, 7, "kernel=3 pad=1 filters=%d bias=%s", filters, n % 2 ? "yes" : "no");
  CHECK("conv", 2, 64, 8, 9, "kernel=3 pad=1 filters=96 groups=2");
  CHECK("conv", 3, 40, 8, 9, "kernel=3 pad=1 filters=96 groups=2");
  CHECK("conv", 1, 600, 4, 4, "kernel=1 filters=60");
}

static void conv_random(void **state) {
  (void)state;
  struct random r = random_from(5);
  for (int done = 0; done < 150;) {
    int64_t groups = draw(&r, 0, 2) ? 1 : draw(&r, 2, 4),
            batch = draw(&r, 0, 4) ? draw(&r, 1, 5) : draw(&r, 1, 40);
    int c = (int)(groups * draw(&r, 1, 18)), filters = (int)(groups * draw(&r, 1, 20));
    cnn_shape in = {batch, c, draw(&r, 1, 8), draw(&r, 1, 8)};
    int k[10];
    for (int i = 0; i < 2; i++) {
      k[i] = (int)draw(&r, 1, 4);
      k[2 + i] = (int)draw(&r, 1, 5);
      k[4 + i] = draw(&r, 0, 1) ? (int)draw(&r, 0, 2) : (int)draw(&r, 0, 6);
      k[6 + i] = draw(&r, 0, 2) ? 1 : (int)draw(&r, 2, 4);
    }
    done +=
        check("conv", in, draw(&r, 0, batch),
              "kernel=%dx%d stride=%dx%d pad=%dx%d dilation=%dx%d filters=%d groups=%d round=%s", k[0], k[1],
              k[2], k[3], k[4], k[5], k[6], k[7], filters, (int)groups, draw(&r, 0, 1) ? "floor" : "ceil");
  }
}

/* Few weights go group by group, many (above 16384) in parts over all images. */
static void table_conv(void **state) {
  (void)state;
  for (int w = 1; w <= 12; w++)
    for (int kernel = 1; kernel <= 4; kernel++)
      for (int pad = 0; pad < kernel; pad++)
        check("table-conv", (cnn_shape){1 + w % 3, w > 9 ? 18 : 3, 1 + w % 5, w}, w % 3,
              "kernel=%dx%d pad=%dx%d connections=0-2/1/0,2/2/0-1/1-2/1/1/0-2/1/0,2/2/0-1/1-2/1/1/0-2",
              1 + kernel / 2, kernel, kernel / 2, pad);
}

static void affine(void **state) {
  (void)state;
  static const int batches[] = {1, 2, 3, 4, 47, 48, 49, 64, 65, 96, 97};
  for (int i = 1; i <= 34; i++) {
    CHECK("affine", 2, 3, 2, 2, "units=%d", i);
    CHECK("affine", 2, i, 1, 1, "units=18");
    CHECK("affine", 3, i, 2, 1, "units=5 bias=no");
    CHECK("affine", i, 19, 1, 1, "units=17");
  }
  for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
    int n = batches[i];
    CHECK("affine", n, 37, 2, 2, "units=20");  /* few */
    CHECK("affine", n, 37, 2, 2, "units=115"); /* many */
    CHECK("affine", n, 9, 3, 3, "units=205 bias=no");
    assert_true(check("affine", (cnn_shape){n, 33, 2, 1}, n, "units=33"));
    assert_true(check("affine", (cnn_shape){n, 120, 1, 1}, n, "units=145"));
    assert_true(check("affine", (cnn_shape){n, 120, 1, 1}, 1, "units=145"));
  }
  static const int inputs[] = {95, 96, 97, 192, 193, 383, 384, 385, 768, 769};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    CHECK("affine", 2, inputs[i], 1, 1, "units=7");
    CHECK("affine", 3, inputs[i], 1, 1, "units=177");
    CHECK("affine", 1, 7, 1, 1, "units=%d", inputs[i]);
    CHECK("affine", 5, 66, 1, 1, "units=%d", inputs[i]);
  }
  static const int units[] = {255, 256, 257, 513}, places[] = {112, 127, 128, 129, 145};
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 5; k++) CHECK("affine", 1 + k, places[k], 1, 1, "units=%d", units[i]);
  assert_true(check("affine", (cnn_shape){40, 20, 1, 1}, 1, "units=1100")); /* several parts of panels */
}

static void lrn(void **state) {
  (void)state;
  static const char *const betas[] = {"0.75", "0.5", "1"};
  for (int size = 1; size <= 40; size += size < 8 ? 1 : 7)
    for (int c = 1; c <= 33; c += c < 3 ? 1 : c < 14 ? 12 : c < 18 ? 1 : 15)
      for (int i = 0; i < 3; i++) {
        CHECK("lrn", 1, c, 1, 1, "size=%d alpha=0.7 beta=%s", size, betas[i]);
        CHECK("lrn", 2, c, 1, 17, "size=%d alpha=0.7 beta=%s alpha_of=sum k=2", size, betas[i]);
      }
  for (int w = 1; w <= 34; w++) CHECK("lrn", 1, 18, 1, w, "alpha=0.7");
}

static void dropout(void **state) {
  (void)state;
  for (int c = 1; c <= 70; c++) CHECK("dropout", 3, c, 1, 1, "rate=0.25");
  for (int w = 1; w <= 9; w++) CHECK("dropout", 2, 17, 3, w, "rate=0.5");
  CHECK("dropout", 33, 5, 1, 1, "rate=0.1");
}

static void pools(void **state) {
  (void)state;
  static const char *const kinds[] = {"maxpool", "avgpool", "subsample"};
  for (int i = 0; i < 3; i++)
    for (int h = 1; h <= 9; h++)
      for (int w = h; w <= 10; w += 1 + h / 3) {
        const char *kind = kinds[i];
        cnn_shape in = {1 + (h + w) % 2, h + w > 9 ? 17 : 3, h, w};
        for (int kernel = 1; kernel <= 4; kernel++)
          for (int stride = 1; stride <= 3; stride++) {
            check(kind, in, 0, "kernel=%d stride=%d round=floor", kernel, stride);
            if (kernel == 1) continue;
            check(kind, in, 0, "kernel=%d stride=%d pad=%d round=ceil", kernel, stride, kernel / 2);
            check(kind, in, 0, "kernel=%dx1 stride=%d pad=%dx0 round=ceil%s", kernel, stride, kernel - 1,
                  i == 1 ? " count_pad=yes" : "");
          }
      }
}

static void global_pools(void **state) {
  (void)state;
  for (int w = 1; w <= 34; w++)
    for (int h = 1; h <= 3; h++) {
      CHECK("global-avgpool", 2, 1 + w % 18, h, w, "%s", "");
      CHECK("global-maxpool", 2, 1 + w % 18, h, w, "%s", "");
    }
}

static void elements(void **state) {
  (void)state;
  static const char *const kinds[] = {"relu", "sigmoid", "tanh", "leaky-relu", "elu", "softmax", "flatten"};
  for (int i = 0; i < 7; i++)
    for (int c = 1; c <= 34; c++) CHECK(kinds[i], 2, c, 1, 1 + c % 3, "%s", "");
  for (int i = 0; i < 5; i++)
    for (int c = 7; c <= 25; c++)
      for (int w = 63; w <= 129; w += 1 + c % 2) {
        if (c % 8 < 2 || c % 8 == 7) CHECK(kinds[i], 1, c, 1, w, "%s", "");
        if (w == 66) w = 126;
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(products),
      cmocka_unit_test(conv_tails),
      cmocka_unit_test(conv_windows),
      cmocka_unit_test(conv_groups),
      cmocka_unit_test(conv_few_channels),
      cmocka_unit_test(conv_few_filters),
      cmocka_unit_test(conv_images),
      cmocka_unit_test(conv_parts),
      cmocka_unit_test(conv_random),
      cmocka_unit_test(table_conv),
      cmocka_unit_test(affine),
      cmocka_unit_test(lrn),
      cmocka_unit_test(dropout),
      cmocka_unit_test(pools),
      cmocka_unit_test(global_pools),
      cmocka_unit_test(elements),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
