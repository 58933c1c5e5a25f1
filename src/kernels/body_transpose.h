/* Turning a block of 16 x 16 floats: to[i][j] = from[j][i], rows to_row and from_row floats apart. Made
 * of 4 x 4 blocks in the compiler's own vectors, which every instruction set has. */

#include <stdint.h>
#include <string.h>

typedef float quad __attribute__((vector_size(16)));

#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else /* gcc before 12 */
typedef int32_t places __attribute__((vector_size(16)));
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (places){__VA_ARGS__})
#endif

static inline quad quad_load(const float *p) {
  quad q;
  memcpy(&q, p, sizeof q);
  return q;
}

static inline void quad_transpose(float *to, int64_t to_row, const float *from, int64_t from_row) {
  quad a = quad_load(from), b = quad_load(from + from_row);
  quad c = quad_load(from + 2 * from_row), d = quad_load(from + 3 * from_row);
  quad ab = SHUFFLE(a, b, 0, 4, 1, 5), AB = SHUFFLE(a, b, 2, 6, 3, 7);
  quad cd = SHUFFLE(c, d, 0, 4, 1, 5), CD = SHUFFLE(c, d, 2, 6, 3, 7);
  quad row[4] = {SHUFFLE(ab, cd, 0, 1, 4, 5), SHUFFLE(ab, cd, 2, 3, 6, 7), SHUFFLE(AB, CD, 0, 1, 4, 5),
                 SHUFFLE(AB, CD, 2, 3, 6, 7)};
  for (int i = 0; i < 4; i++) memcpy(to + i * to_row, &row[i], sizeof row[i]);
}

static void kernel_transpose(float *to, int64_t to_row, const float *from, int64_t from_row) {
  for (int i = 0; i < BLOCK; i += 4)
    for (int j = 0; j < BLOCK; j += 4)
      quad_transpose(to + i * to_row + j, to_row, from + j * from_row + i, from_row);
}
