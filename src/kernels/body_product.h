/* The matrix product behind convolution and affine layers (struct product in kernels.h says what it is).
 *
 * C is computed in tiles of up to TILE_ROWS rows by two vectors of columns whose sums stay in registers
 * while k runs. Loops, from outside: blocks of DEPTH taps (so that the panels of B in use stay in the
 * L1 cache), pairs of vectors of columns, tiles of rows. Between blocks of taps the sums wait in C: a
 * float stored and loaded again is the same float, so the chain of additions is not cut.
 *
 * Sums have names of their own (c0a, c0b, c1a, ...), made by macro: compilers keep named variables in
 * registers where they spill an array. */

/* Rows: 16 sums of 32 registers (AVX-512, NEON), 12 of 16 (AVX2). */
#if VL == 1
#define TILE_ROWS 2
#elif VL == 8
#define TILE_ROWS 6
#else
#define TILE_ROWS 8
#endif
enum { DEPTH = 256 };

struct tile {
  const float *a, *b0, *b1;     /* b1: panel and lane of the second vector */
  const int32_t *a_row, *c_row; /* of the tile's first row */
  const struct tap *taps;
  int64_t depth;
  float *c0, *c1;
  const float *start0, *start1; /* NULL: 0 */
  bool add;
};

#define EACH_1(M) M(0)
#define EACH_2(M) EACH_1(M) M(1)
#define EACH_3(M) EACH_2(M) M(2)
#define EACH_4(M) EACH_3(M) M(3)
#define EACH_5(M) EACH_4(M) M(4)
#define EACH_6(M) EACH_5(M) M(5)
#define EACH_7(M) EACH_6(M) M(6)
#define EACH_8(M) EACH_7(M) M(7)

/* The empty asm makes a pointer of each row: compilers would rather add the row's offset at each tap. */
#define ROW(i)                            \
  const float *a##i = t->a + t->a_row[i]; \
  __asm__("" : "+r"(a##i));
#define LOAD_A(i) c##i##a = vec_load(c0 + c_row[i]);
#define LOAD_B(i) c##i##b = vec_load(c1 + c_row[i]);
#define INIT_A(i) c##i##a = first;
#define INIT_B(i) c##i##b = second;
#define NAME_A(i) vec c##i##a;
#define NAME_B(i) vec c##i##b;
#define STEP_A(i) c##i##a = vec_fma(vec_all(a##i[tap.a]), b, c##i##a);
#define STEP_AB(i)                    \
  {                                   \
    vec x = vec_all(a##i[tap.a]);     \
    c##i##a = vec_fma(x, b, c##i##a); \
    c##i##b = vec_fma(x, d, c##i##b); \
  }
#define STORE_A(i) vec_store(c0 + c_row[i], c##i##a);
#define STORE_B(i) vec_store(c1 + c_row[i], c##i##b);

/* tile_R_1: R rows by one vector; tile_R_2: R rows by two. */
#define TILE(R)                                                                         \
  static void tile_##R##_1(const struct tile *t) {                                      \
    float *c0 = t->c0;                                                                  \
    const int32_t *c_row = t->c_row;                                                    \
    EACH_##R(NAME_A) if (t->add) { EACH_##R(LOAD_A) }                                   \
    else {                                                                              \
      vec first = t->start0 ? vec_load(t->start0) : vec_all(0);                         \
      EACH_##R(INIT_A)                                                                  \
    }                                                                                   \
    const struct tap *taps = t->taps, *end = taps + t->depth;                           \
    const float *b0 = t->b0;                                                            \
    EACH_##R(ROW) for (; taps < end; taps++) {                                          \
      struct tap tap = *taps;                                                           \
      vec b = vec_load(b0 + tap.b);                                                     \
      EACH_##R(STEP_A)                                                                  \
    }                                                                                   \
    EACH_##R(STORE_A)                                                                   \
  }                                                                                     \
  static void tile_##R##_2(const struct tile *t) {                                      \
    float *c0 = t->c0, *c1 = t->c1;                                                     \
    const int32_t *c_row = t->c_row;                                                    \
    EACH_##R(NAME_A) EACH_##R(NAME_B) if (t->add) { EACH_##R(LOAD_A) EACH_##R(LOAD_B) } \
    else {                                                                              \
      vec first = t->start0 ? vec_load(t->start0) : vec_all(0);                         \
      vec second = t->start1 ? vec_load(t->start1) : vec_all(0);                        \
      EACH_##R(INIT_A) EACH_##R(INIT_B)                                                 \
    }                                                                                   \
    const struct tap *taps = t->taps, *end = taps + t->depth;                           \
    const float *b0 = t->b0, *b1 = t->b1;                                               \
    EACH_##R(ROW) for (; taps < end; taps++) {                                          \
      struct tap tap = *taps;                                                           \
      vec b = vec_load(b0 + tap.b), d = vec_load(b1 + tap.b);                           \
      EACH_##R(STEP_AB)                                                                 \
    }                                                                                   \
    EACH_##R(STORE_A) EACH_##R(STORE_B)                                                 \
  }

TILE(1)
TILE(2)
#if TILE_ROWS > 2
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#endif
#if TILE_ROWS > 6
TILE(7)
TILE(8)
#endif

static void (*const tiles[][2])(const struct tile *) = {
    {tile_1_1, tile_1_2}, {tile_2_1, tile_2_2},
#if TILE_ROWS > 2
    {tile_3_1, tile_3_2}, {tile_4_1, tile_4_2}, {tile_5_1, tile_5_2}, {tile_6_1, tile_6_2},
#endif
#if TILE_ROWS > 6
    {tile_7_1, tile_7_2}, {tile_8_1, tile_8_2},
#endif
};

static void kernel_product(const struct product *p) {
  int64_t vectors = (p->columns + VL - 1) / VL, row_tiles = (p->rows + TILE_ROWS - 1) / TILE_ROWS;
  enum { PER_PANEL = BLOCK / VL };
  for (int64_t k = 0; k < p->depth || k == 0; k += DEPTH) {
    struct tile t = {.a = p->a, .taps = p->taps + k, .depth = p->depth - k < DEPTH ? p->depth - k : DEPTH};
    t.add = p->add || k > 0;
    for (int64_t v = 0; v < vectors; v += 2) {
      int64_t w = v + 1; /* the second vector */
      t.b0 = p->b + v / PER_PANEL * p->b_panel + v % PER_PANEL * VL;
      t.b1 = p->b + w / PER_PANEL * p->b_panel + w % PER_PANEL * VL;
      t.c0 = p->c + v / PER_PANEL * p->c_panel + v % PER_PANEL * VL;
      t.c1 = p->c + w / PER_PANEL * p->c_panel + w % PER_PANEL * VL;
      t.start0 = p->start ? p->start + v * VL : NULL;
      t.start1 = p->start ? p->start + w * VL : NULL;
      int64_t row = 0; /* rows are dealt evenly: 25 rows make five tiles of 5 */
      for (int64_t i = 0; i < row_tiles; i++) {
        int64_t next = p->rows * (i + 1) / row_tiles;
        t.a_row = p->a_row + row;
        t.c_row = p->c_row + row;
        tiles[next - row - 1][w < vectors](&t);
        row = next;
      }
    }
  }
}

/* Twelve independent chains of fused multiply-adds in registers: nothing but the units' own rate. */
static double kernel_fma_chain(int64_t steps) {
  enum { CHAINS = 12 };
  float sum[VL], start = 1;
  __asm__ volatile("" : "+m"(start)); /* not known to the compiler */
  vec x = vec_all(start * 0.5F), y = vec_all(start * 0.25F);
#define CHAIN(i)   vec r##i = vec_all(start * (i));
#define ON(i)      r##i = vec_fma(r##i, x, y);
#define SUM(i)     x = vec_add(x, r##i);
#define EACH_12(M) EACH_8(M) M(8) M(9) M(10) M(11)
  EACH_12(CHAIN)
  for (int64_t s = 0; s < steps; s++) {
    EACH_12(ON)
  }
  EACH_12(SUM)
  vec_store(sum, x);
  __asm__ volatile("" : : "m"(sum));
  return (double)steps * CHAINS * VL * 2;
}
