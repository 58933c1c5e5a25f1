/* The matrix product behind convolution and affine layers (struct product in kernels.h says what it is).
 *
 * C is computed in tiles of up to TILE_ROWS rows by two vectors of columns whose sums stay in registers
 * while k runs; of very few rows, as when one image is asked for, a tile takes more vectors instead.
 * Loops, from outside: blocks of at most DEPTH values of k (so that the panels of B in use stay in the L1
 * cache), vectors of columns, tiles of rows. Between blocks the sums wait in C: a float stored and loaded
 * again is the same float, so the chain of additions is not cut.
 *
 * Sums have names of their own (c0_0, c0_1, c1_0, ...), made by macro: compilers keep named variables in
 * registers where they spill an array. */

#if VL == 1
#define TILE_ROWS 2
#elif VL == 16
#define TILE_ROWS 12
#elif defined(__aarch64__)
#define TILE_ROWS 8
#else
#define TILE_ROWS 6
#endif
/* Tiles of one vector take more rows, for enough sums to keep the units busy. */
#if VL == 8
#define TALL_ROWS 8
#else
#define TALL_ROWS TILE_ROWS
#endif
enum { DEPTH = 384 };

/* One step of a chain: offsets into A and B. */
struct tap {
  int32_t a, b;
};

struct tile {
  const float *a, *b; /* b: panel and lane of the first vector */
  const int32_t *a_row, *c_row;
  int64_t tiles;          /* one below the other, in one call */
  const struct tap *taps; /* the steps one by one; or, where rows are few, as runs: */
  const struct run *runs;
  int64_t skip, depth; /* steps of the first run that are done already; steps to do */
  int64_t a_step, b_step, b_panel, c_panel;
  float *c;
  const float *start; /* NULL: 0 */
  bool add;
};

/* M(i, V) for each row i of R. */
#define ROWS_1(M, V)  M(0, V)
#define ROWS_2(M, V)  ROWS_1(M, V) M(1, V)
#define ROWS_3(M, V)  ROWS_2(M, V) M(2, V)
#define ROWS_4(M, V)  ROWS_3(M, V) M(3, V)
#define ROWS_5(M, V)  ROWS_4(M, V) M(4, V)
#define ROWS_6(M, V)  ROWS_5(M, V) M(5, V)
#define ROWS_7(M, V)  ROWS_6(M, V) M(6, V)
#define ROWS_8(M, V)  ROWS_7(M, V) M(7, V)
#define ROWS_9(M, V)  ROWS_8(M, V) M(8, V)
#define ROWS_10(M, V) ROWS_9(M, V) M(9, V)
#define ROWS_11(M, V) ROWS_10(M, V) M(10, V)
#define ROWS_12(M, V) ROWS_11(M, V) M(11, V)
/* M(i, v) for each vector v of V. */
#define VECS_1(M, i) M(i, 0)
#define VECS_2(M, i) VECS_1(M, i) M(i, 1)
#define VECS_3(M, i) VECS_2(M, i) M(i, 2)
#define VECS_4(M, i) VECS_3(M, i) M(i, 3)
#define VECS_6(M, i) VECS_4(M, i) M(i, 4) M(i, 5)
#define VECS_8(M, i) VECS_6(M, i) M(i, 6) M(i, 7)

/* Floats from vector 0 of a tile to vector v, in panels so far apart. A tile of more than one vector
 * begins at a panel, or holds no more than one panel does. */
#define AT(v, panel) ((v)*VL / BLOCK * (panel) + (v)*VL % BLOCK)

#define NAME(i, v)     vec c##i##_##v;
#define NAME_ROW(i, V) VECS_##V(NAME, i)
/* The empty asm makes a pointer of each row: compilers would rather add the row's offset at each step. */
#define ROW(i, V)                   \
  const float *a##i = a + a_row[i]; \
  __asm__("" : "+r"(a##i));
#define LOAD(i, v)     c##i##_##v = vec_load(c + c_row[i] + AT(v, c_panel));
#define LOAD_ROW(i, V) VECS_##V(LOAD, i)
#define INIT(i, v)     c##i##_##v = start_##v;
#define INIT_ROW(i, V) VECS_##V(INIT, i)
#define START(i, v)    vec start_##v = t->start ? vec_load(t->start + (v)*VL) : vec_all(0);
#define COLUMN(i, v)   vec b_##v = vec_load(b + AT(v, b_panel));
#define STEP(i, v)     c##i##_##v = vec_fma(x##i, b_##v, c##i##_##v);
#define STEP_ROW(i, V)          \
  vec x##i = vec_all(a##i[at]); \
  VECS_##V(STEP, i)
#define STORE(i, v)     vec_store(c + c_row[i] + AT(v, c_panel), c##i##_##v);
#define STORE_ROW(i, V) VECS_##V(STORE, i)

/* Sums of R rows by V vectors before and after the steps. */
#define BEGIN(R, V)                                           \
  const float *a = t->a;                                      \
  float *c = t->c;                                            \
  int64_t b_panel = t->b_panel, c_panel = t->c_panel;         \
  (void)b_panel, (void)c_panel;                               \
  ROWS_##R(NAME_ROW, V) if (t->add) { ROWS_##R(LOAD_ROW, V) } \
  else {VECS_##V(START, 0) ROWS_##R(INIT_ROW, V)} ROWS_##R(ROW, V)
#define END(R, V) ROWS_##R(STORE_ROW, V)
#define EACH_TILE(R)                                                                   \
  const int32_t *a_row = t->a_row, *c_row = t->c_row, *end_row = a_row + t->tiles * R; \
  for (; a_row < end_row; a_row += R, c_row += R)

#define TILE(R, V)                                            \
  static void tile_##R##_##V(const struct tile *t) {          \
    EACH_TILE(R) {                                            \
      BEGIN(R, V)                                             \
      const struct tap *tap = t->taps, *end = tap + t->depth; \
      for (; tap < end; tap++) {                              \
        int64_t at = tap->a;                                  \
        const float *b = t->b + tap->b;                       \
        VECS_##V(COLUMN, 0) ROWS_##R(STEP_ROW, V)             \
      }                                                       \
      END(R, V)                                               \
    }                                                         \
  }

#define WIDE(R, V)                                                      \
  static void wide_##R##_##V(const struct tile *t) {                    \
    EACH_TILE(R) {                                                      \
      BEGIN(R, V)                                                       \
      int64_t a_step = t->a_step, b_step = t->b_step, skip = t->skip;   \
      const struct run *run = t->runs;                                  \
      for (int64_t left = t->depth; left > 0; run++, skip = 0) {        \
        int64_t at = run->a + skip * a_step, steps = run->count - skip; \
        const float *b = t->b + run->b + skip * b_step;                 \
        if (steps > left) steps = left;                                 \
        left -= steps;                                                  \
        for (; steps > 0; steps--, at += a_step, b += b_step) {         \
          VECS_##V(COLUMN, 0) ROWS_##R(STEP_ROW, V)                     \
        }                                                               \
      }                                                                 \
      END(R, V)                                                         \
    }                                                                   \
  }

/* The tiles there are, and the tables of them. */
/* clang-format off */
TILE(1, 1) TILE(1, 2) TILE(2, 1) TILE(2, 2)
#if TALL_ROWS > 2
TILE(3, 1) TILE(4, 1) TILE(5, 1) TILE(6, 1) TILE(7, 1) TILE(8, 1)
TILE(3, 2) TILE(4, 2) TILE(5, 2) TILE(6, 2)
#endif
#if TILE_ROWS > 6
TILE(7, 2) TILE(8, 2)
#endif
#if TILE_ROWS > 8
TILE(9, 1) TILE(10, 1) TILE(11, 1) TILE(12, 1)
TILE(9, 2) TILE(10, 2) TILE(11, 2) TILE(12, 2)
#endif
WIDE(1, 1) WIDE(1, 2)
#if VL == 8
WIDE(2, 1) WIDE(2, 2) WIDE(3, 1) WIDE(3, 2)
WIDE(1, 8) WIDE(2, 6) WIDE(3, 4)
#elif VL > 1
WIDE(2, 1) WIDE(2, 2) WIDE(3, 1) WIDE(3, 2) WIDE(4, 1) WIDE(4, 2)
WIDE(1, 8) WIDE(2, 8) WIDE(4, 4)
#endif
#if VL == 16
WIDE(3, 6)
#elif VL == 4
WIDE(3, 4)
#endif

#if VL == 1
enum { WIDE_ROWS = 2 }; /* up to here rows are few */
static const int most_vectors[WIDE_ROWS] = {2, 2};
static void (*const tiles[3][TALL_ROWS + 1])(const struct tile *) = {
    /* [vectors][rows] */
    [1] = {NULL, tile_1_1, tile_2_1},
    [2] = {NULL, tile_1_2, tile_2_2},
};
static void (*const wide_tiles[][WIDE_ROWS])(const struct tile *) = {
    [1] = {[1] = wide_1_1},
    [2] = {[1] = wide_1_2},
};
#elif VL == 16
enum { WIDE_ROWS = 5 }; /* up to here rows are few */
static const int most_vectors[WIDE_ROWS] = {2, 8, 8, 6, 4};
static void (*const tiles[3][TALL_ROWS + 1])(const struct tile *) = {
    /* [vectors][rows] */
    [1] = {NULL, tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1, tile_7_1, tile_8_1, tile_9_1,
           tile_10_1, tile_11_1, tile_12_1},
    [2] = {NULL, tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2, tile_7_2, tile_8_2, tile_9_2,
           tile_10_2, tile_11_2, tile_12_2},
};
static void (*const wide_tiles[][WIDE_ROWS])(const struct tile *) = {
    [1] = {[1] = wide_1_1, [2] = wide_2_1, [3] = wide_3_1, [4] = wide_4_1},
    [2] = {[1] = wide_1_2, [2] = wide_2_2, [3] = wide_3_2, [4] = wide_4_2},
    [4] = {[4] = wide_4_4},
    [6] = {[3] = wide_3_6},
    [8] = {[1] = wide_1_8, [2] = wide_2_8},
};
#elif VL == 4
enum { WIDE_ROWS = 5 }; /* up to here rows are few */
static const int most_vectors[WIDE_ROWS] = {2, 8, 8, 4, 4};
static void (*const tiles[3][TALL_ROWS + 1])(const struct tile *) = {
    /* [vectors][rows] */
    [1] = {NULL, tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1, tile_7_1, tile_8_1},
    [2] = {NULL, tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2, tile_7_2, tile_8_2},
};
static void (*const wide_tiles[][WIDE_ROWS])(const struct tile *) = {
    [1] = {[1] = wide_1_1, [2] = wide_2_1, [3] = wide_3_1, [4] = wide_4_1},
    [2] = {[1] = wide_1_2, [2] = wide_2_2, [3] = wide_3_2, [4] = wide_4_2},
    [4] = {[3] = wide_3_4, [4] = wide_4_4},
    [8] = {[1] = wide_1_8, [2] = wide_2_8},
};
#else
enum { WIDE_ROWS = 4 }; /* up to here rows are few */
static const int most_vectors[WIDE_ROWS] = {2, 8, 6, 4};
static void (*const tiles[3][TALL_ROWS + 1])(const struct tile *) = {
    /* [vectors][rows] */
    [1] = {NULL, tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1, tile_7_1, tile_8_1},
    [2] = {NULL, tile_1_2, tile_2_2, tile_3_2, tile_4_2, tile_5_2, tile_6_2},
};
static void (*const wide_tiles[][WIDE_ROWS])(const struct tile *) = {
    [1] = {[1] = wide_1_1, [2] = wide_2_1, [3] = wide_3_1},
    [2] = {[1] = wide_1_2, [2] = wide_2_2, [3] = wide_3_2},
    [4] = {[3] = wide_3_4},
    [6] = {[2] = wide_2_6},
    [8] = {[1] = wide_1_8},
};
#endif
/* clang-format on */

/* Where a walk over the runs has come to. */
struct place_in_runs {
  const struct run *run;
  int64_t skip;
};

/* `steps` steps further; written down one by one where taps is not NULL. */
static struct place_in_runs walk(const struct product *p, struct place_in_runs place, int64_t steps,
                                 struct tap *taps) {
  while (steps > 0) {
    int64_t here = place.run->count - place.skip < steps ? place.run->count - place.skip : steps;
    int32_t a_step = (int32_t)p->a_step, b_step = (int32_t)p->b_step, skip = (int32_t)place.skip;
    struct tap tap = {place.run->a + skip * a_step, place.run->b + skip * b_step};
    for (int64_t i = 0; taps && i < here; i++, tap.a += a_step, tap.b += b_step) *taps++ = tap;
    steps -= here;
    place.skip += here;
    if (place.skip == place.run->count) place = (struct place_in_runs){place.run + 1, 0};
  }
  return place;
}

/* Columns from vector v on, with tiles for so many vectors, one for each number of rows. */
static void product_columns(const struct product *p, struct tile *t, int64_t v, bool first, int height,
                            void (*const *run)(const struct tile *)) {
  enum { PER_PANEL = BLOCK / VL };
  int64_t row_tiles = (p->rows + height - 1) / height; /* rows are dealt evenly: 25 are five times 5, */
  int64_t least = p->rows / row_tiles, more = p->rows % row_tiles; /* 26 are 6 and four times 5 */
  t->b = p->b + v / PER_PANEL * p->b_panel + v % PER_PANEL * VL;
  t->c = p->c + v / PER_PANEL * p->c_panel + v % PER_PANEL * VL;
  t->start = p->start && first ? p->start + v * VL : NULL;
  t->a_row = p->a_row;
  t->c_row = p->c_row;
  t->tiles = more;
  if (more) run[least + 1](t);
  t->a_row += more * (least + 1);
  t->c_row += more * (least + 1);
  t->tiles = row_tiles - more;
  run[least](t);
}

static void kernel_product(const struct product *p) {
  int64_t vectors = (p->columns + VL - 1) / VL, blocks = p->depth ? (p->depth + DEPTH - 1) / DEPTH : 1;
  if (p->rows == 0) return;
  bool few = p->rows < WIDE_ROWS;
  int widest = few ? most_vectors[p->rows] : 2;
  struct tap taps[DEPTH];
  struct place_in_runs place = {p->runs, 0};
  struct tile t = {.a = p->a,
                   .taps = taps,
                   .a_step = p->a_step,
                   .b_step = p->b_step,
                   .b_panel = p->b_panel,
                   .c_panel = p->c_panel};
  for (int64_t i = 0, k = 0; i < blocks; i++) { /* 400 steps make two blocks of 200 */
    int64_t next = p->depth * (i + 1) / blocks;
    t.runs = place.run;
    t.skip = place.skip;
    t.depth = next - k;
    t.add = p->add || k > 0;
    place = walk(p, place, t.depth, few ? NULL : taps);
    for (int64_t v = 0, take; v < vectors; v += take) {
      take = vectors - v >= widest ? widest : vectors - v >= 2 ? 2 : 1;
      product_columns(p, &t, v, k == 0, take == 1 ? TALL_ROWS : TILE_ROWS,
                      few ? wide_tiles[take] : tiles[take]);
    }
    k = next;
  }
}

/* Twelve independent chains of fused multiply-adds in registers: nothing but the units' own rate. */
static double kernel_fma_chain(int64_t steps) {
  enum { CHAINS = 12 };
  float sum[VL], start = 1;
  __asm__ volatile("" : "+m"(start)); /* not known to the compiler */
  vec x = vec_all(start * 0.5F), y = vec_all(start * 0.25F);
#define CHAIN(i, V) vec r##i = vec_all(start * (i));
#define ON(i, V)    r##i = vec_fma(r##i, x, y);
#define SUM(i, V)   x = vec_add(x, r##i);
  ROWS_12(CHAIN, 1)
  for (int64_t s = 0; s < steps; s++) {
    ROWS_12(ON, 1)
  }
  ROWS_12(SUM, 1)
  vec_store(sum, x);
  __asm__ volatile("" : : "m"(sum));
  return (double)steps * CHAINS * VL * 2;
}
