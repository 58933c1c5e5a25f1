/* The matrix product behind convolution and affine layers (struct product in kernels.h says what it is).
 *
 * C is computed in tiles of some rows by some vectors of columns whose sums stay in registers while k runs.
 * Loops, from outside: blocks of at most so many values of k that the panels of B in use stay in the L1
 * cache, vectors of columns, tiles of rows. Between blocks the sums wait in C: a float stored and loaded
 * again is the same float, so the chain of additions is not cut.
 *
 * Of very few rows, as when one image is asked for, a tile takes more vectors instead.
 *
 * Where rows come in fours, each as far from the last as the next (neighbours in an image, or channels of a
 * pixel), a tile needs a pointer only for four of them, and reads A by addresses that are constants away from
 * it. With 32 registers for sums that is the difference between two thirds and nine tenths of the peak for
 * tiles of one vector.
 *
 * Sums have names of their own (c0_0, c0_1, c1_0, ...), made by macro: compilers keep named variables in
 * registers where they spill an array. */

/* Rows of a tile of 1, 2, ... vectors: enough sums to keep the units busy, few enough pointers. */
#if VL == 1
enum { MOST_VECTORS = 2 };
static const int tile_rows[] = {0, 2, 2};
#elif VL == 16
enum { MOST_VECTORS = 4 };
static const int tile_rows[] = {0, 8, 8, 8, 6};
#elif defined(__aarch64__)
enum { MOST_VECTORS = 2 };
static const int tile_rows[] = {0, 8, 8};
#else
enum { MOST_VECTORS = 2 };
static const int tile_rows[] = {0, 8, 6};
#endif
enum { MOST_ROWS = 8, DEPTH = VL == 16 ? 192 : 384 }; /* steps of a block, for two vectors */

struct tile {
  const float *a, *b; /* b: panel and lane of the first vector */
  const int32_t *a_row, *c_row;
  int64_t tiles; /* one below the other, in one call */
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
#define ROWS_12(M, V) ROWS_8(M, V) M(8, V) M(9, V) M(10, V) M(11, V)
#define ROWS_16(M, V) ROWS_12(M, V) M(12, V) M(13, V) M(14, V) M(15, V)
#define ROWS_20(M, V) ROWS_16(M, V) M(16, V) M(17, V) M(18, V) M(19, V)
#define ROWS_24(M, V) ROWS_20(M, V) M(20, V) M(21, V) M(22, V) M(23, V)
/* X(R, ...) for each height R up to so many rows. */
#define HEIGHTS_2(X, ...) X(1, __VA_ARGS__) X(2, __VA_ARGS__)
#define HEIGHTS_6(X, ...) \
  HEIGHTS_2(X, __VA_ARGS__) X(3, __VA_ARGS__) X(4, __VA_ARGS__) X(5, __VA_ARGS__) X(6, __VA_ARGS__)
#define HEIGHTS_8(X, ...) HEIGHTS_6(X, __VA_ARGS__) X(7, __VA_ARGS__) X(8, __VA_ARGS__)
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
  else {                                                      \
    VECS_##V(START, 0) ROWS_##R(INIT_ROW, V)                  \
  }
#define END(R, V) ROWS_##R(STORE_ROW, V)
#define EACH_TILE(R)                                                                   \
  const int32_t *a_row = t->a_row, *c_row = t->c_row, *end_row = a_row + t->tiles * R; \
  for (; a_row < end_row; a_row += R, c_row += R)

/* What is to be done in each step of each run, at A's `at` and B's b. */
#define EACH_STEP(...)                                                \
  int64_t a_step = t->a_step, b_step = t->b_step, skip = t->skip;     \
  const struct run *run = t->runs;                                    \
  for (int64_t left = t->depth; left > 0; run++, skip = 0) {          \
    int64_t at = run->a + skip * a_step, steps = run->count - skip;   \
    const float *b = t->b + run->b + skip * b_step;                   \
    if (steps > left) steps = left;                                   \
    left -= steps;                                                    \
    for (; steps > 0; steps--, at += a_step, b += b_step) __VA_ARGS__ \
  }

#define TILE(R, V)                                                                      \
  static void tile_##R##_##V(const struct tile *t) {                                    \
    EACH_TILE(R) {                                                                      \
      BEGIN(R, V)                                                                       \
      ROWS_##R(ROW, V) EACH_STEP({VECS_##V(COLUMN, 0) ROWS_##R(STEP_ROW, V)}) END(R, V) \
    }                                                                                   \
  }

/* The tiles there are. Of fewer rows than FEW_ROWS they take up to most_vectors. */
#if VL == 1
#define TILES(X) HEIGHTS_2(X, 1) HEIGHTS_2(X, 2)
enum { FEW_ROWS = 2 };
static const int most_vectors[FEW_ROWS] = {2, 2};
#elif VL == 16
#define TILES(X) HEIGHTS_8(X, 1) HEIGHTS_8(X, 2) HEIGHTS_8(X, 3) HEIGHTS_6(X, 4) X(3, 6) X(1, 8) X(2, 8)
enum { FEW_ROWS = 5 };
static const int most_vectors[FEW_ROWS] = {2, 8, 8, 6, 4};
#elif VL == 4
#define TILES(X) HEIGHTS_8(X, 1) HEIGHTS_8(X, 2) X(3, 4) X(4, 4) X(1, 8) X(2, 8)
enum { FEW_ROWS = 5 };
static const int most_vectors[FEW_ROWS] = {2, 8, 8, 4, 4};
#else
#define TILES(X) HEIGHTS_8(X, 1) HEIGHTS_6(X, 2) X(3, 4) X(2, 6) X(1, 8)
enum { FEW_ROWS = 4 };
static const int most_vectors[FEW_ROWS] = {2, 8, 6, 4};
#endif

typedef void (*tile_function)(const struct tile *);
#define TILE_NAME(R, V) [V][R] = tile_##R##_##V,
TILES(TILE)
static const tile_function tiles[8 + 1][MOST_ROWS + 1] = {TILES(TILE_NAME)};

/* So many rows, `unit` by `unit` (1 or 4), in tiles of at most `height` units, dealt evenly: of 25 rows 5
 * tiles of 5, of 26 one of 6 and 4. */
static void deal_rows(struct tile *t, int64_t units, int unit, int height, const tile_function *run) {
  int64_t tiles_of = (units + height - 1) / height, least = units / tiles_of, more = units % tiles_of;
  t->tiles = more;
  if (more) run[least + 1](t);
  t->a_row += more * (least + 1) * unit;
  t->c_row += more * (least + 1) * unit;
  t->tiles = tiles_of - more;
  run[least](t);
  t->a_row += t->tiles * least * unit;
  t->c_row += t->tiles * least * unit;
}

#if VL == 16
/* X(four, its rows, ...) for each of so many fours. */
#define FOURS_1(X, ...) X(0, 0, 1, 2, 3, __VA_ARGS__)
#define FOURS_2(X, ...) FOURS_1(X, __VA_ARGS__) X(1, 4, 5, 6, 7, __VA_ARGS__)
#define FOURS_3(X, ...) FOURS_2(X, __VA_ARGS__) X(2, 8, 9, 10, 11, __VA_ARGS__)
#define FOURS_4(X, ...) FOURS_3(X, __VA_ARGS__) X(3, 12, 13, 14, 15, __VA_ARGS__)
#define FOURS_5(X, ...) FOURS_4(X, __VA_ARGS__) X(4, 16, 17, 18, 19, __VA_ARGS__)
#define FOURS_6(X, ...) FOURS_5(X, __VA_ARGS__) X(5, 20, 21, 22, 23, __VA_ARGS__)

#define POINT(four, i, j, k, l, V)         \
  const float *first##four = a + a_row[i]; \
  __asm__("" : "+r"(first##four));
#define STEP_OF(i, from, V)    \
  vec x##i = vec_all(*(from)); \
  VECS_##V(STEP, i)
#define STEP_FOUR(four, i, j, k, l, V, S)                                                 \
  {                                                                                       \
    const float *from = first##four + at;                                                 \
    __asm__("" : "+r"(from)); /* or each load would add again */                          \
    STEP_OF(i, from, V)                                                                   \
    STEP_OF(j, from + (S), V) STEP_OF(k, from + 2 * (S), V) STEP_OF(l, from + 3 * (S), V) \
  }

/* F fours of rows, R in all, by V vectors; the rows of a four S floats apart. */
#define FOURS(F, R, V, S)                                                                       \
  static void fours_##F##_##V##_##S(const struct tile *t) {                                     \
    EACH_TILE(R) {                                                                              \
      BEGIN(R, V)                                                                               \
      FOURS_##F(POINT, V) EACH_STEP({VECS_##V(COLUMN, 0) FOURS_##F(STEP_FOUR, V, S)}) END(R, V) \
    }                                                                                           \
  }

enum { FOURS_VECTORS = 2, LEAST_FOURS = 2 }; /* fewer of a cycle make tiles that are too low */
static const int most_fours[FOURS_VECTORS + 1] = {0, 6, 3};
#define FOURS_TILES(X, S) \
  X(1, 4, 1, S)           \
  X(2, 8, 1, S)           \
  X(3, 12, 1, S) X(4, 16, 1, S) X(5, 20, 1, S) X(6, 24, 1, S) X(1, 4, 2, S) X(2, 8, 2, S) X(3, 12, 2, S)
#define FOURS_NAME(F, R, V, S) [V][F] = fours_##F##_##V##_##S,
FOURS_TILES(FOURS, 1)
FOURS_TILES(FOURS, 16)
static const tile_function fours_tiles[2][FOURS_VECTORS + 1][6 + 1] = {{FOURS_TILES(FOURS_NAME, 1)},
                                                                       {FOURS_TILES(FOURS_NAME, 16)}};

/* The rows of each cycle, those that come in fours first. */
static void deal_fours(const struct product *p, struct tile *t, int take) {
  const tile_function *run = fours_tiles[p->spacing > 1][take];
  for (int64_t done = 0; done < p->rows; done += p->cycle) {
    deal_rows(t, p->fours / 4, 4, most_fours[take], run);
    if (p->cycle > p->fours) deal_rows(t, p->cycle - p->fours, 1, tile_rows[take], tiles[take]);
  }
}
#endif

/* Where a walk over the runs has come to. */
struct place_in_runs {
  const struct run *run;
  int64_t skip;
};

/* `steps` steps further. */
static struct place_in_runs walk(struct place_in_runs place, int64_t steps) {
  for (; steps > 0 && steps >= place.run->count - place.skip;
       place = (struct place_in_runs){place.run + 1, 0})
    steps -= place.run->count - place.skip;
  place.skip += steps;
  return place;
}

/* `take` columns of vectors, from vector v on. */
static void product_columns(const struct product *p, struct tile *t, int64_t v, int take, bool first) {
  enum { PER_PANEL = BLOCK / VL };
  t->b = p->b + v / PER_PANEL * p->b_panel + v % PER_PANEL * VL;
  t->c = p->c + v / PER_PANEL * p->c_panel + v % PER_PANEL * VL;
  t->start = p->start && first ? p->start + v * VL : NULL;
  t->a_row = p->a_row;
  t->c_row = p->c_row;
  if (p->rows < FEW_ROWS) {
    t->tiles = 1;
    tiles[take][p->rows](t);
    return;
  }
#if VL == 16
  if (p->fours >= LEAST_FOURS * 4 && take <= FOURS_VECTORS) {
    deal_fours(p, t, take);
    return;
  }
#endif
  deal_rows(t, p->rows, 1, tile_rows[take], tiles[take]);
}

/* Vectors that the next tiles take, of so many that are left: 4 and 3, as long as that goes, where tiles of
 * so many are the fastest: 9 are 3 + 3 + 3, 7 are 3 + 4. */
static int next_vectors(int64_t left, int most, bool few) {
  if (few) return left >= most ? most : left >= 2 ? 2 : 1;
  if (left > 2 && most == 4) return left % 4 ? 3 : 4;
  return left >= 2 ? 2 : 1;
}

/* The blocks that k runs in: of three or four vectors half as many steps, unless panels of B overlap. */
static int64_t longest_block(const struct product *p, int64_t vectors) {
  return vectors > 2 && MOST_VECTORS > 2 && p->b_panel > p->b_step ? DEPTH / 2 : DEPTH;
}

static void kernel_product(const struct product *p) {
  int64_t vectors = (p->columns + VL - 1) / VL;
  if (p->rows == 0) return;
  bool few = p->rows < FEW_ROWS;
  int widest = few ? most_vectors[p->rows] : MOST_VECTORS;
  int64_t most = longest_block(p, vectors);
  int64_t blocks = p->depth ? (p->depth + most - 1) / most : 1;
  struct place_in_runs place = {p->runs, 0};
  struct tile t = {
      .a = p->a, .a_step = p->a_step, .b_step = p->b_step, .b_panel = p->b_panel, .c_panel = p->c_panel};
  for (int64_t i = 0, k = 0; i < blocks; i++) { /* 400 steps make two blocks of 200 */
    int64_t next = p->depth * (i + 1) / blocks;
    t.runs = place.run;
    t.skip = place.skip;
    t.depth = next - k;
    t.add = p->add || k > 0;
    if (i + 1 < blocks) place = walk(place, t.depth);
    for (int64_t v = 0; v < vectors;) {
      int take = next_vectors(vectors - v, widest, few);
      product_columns(p, &t, v, take, k == 0);
      v += take;
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
