/* Section 7.4.3: col2im, what backward has in the place of im2col.
 *
 * im2col copies an element into every window that covers it; col2im adds up what comes back from them. So
 * it is the transpose of im2col, not its inverse: sum(im2col(x) * d) = sum(x * col2im(d)) for all x and d. */
#include <cnn.h>
#include <stdio.h>

enum { H = 5, F = 3, O = 3, COL = O * O * F * F };
static float x[H * H], back[H * H], col[COL], d[COL];
static const float windows[H * H] = {1, 2, 3, 2, 1, 2, 4, 6, 4, 2, 3, 6, 9,
                                     6, 3, 2, 4, 6, 4, 2, 1, 2, 3, 2, 1};

static int fail(void) {
  fprintf(stderr, "%s\n", cnn_why());
  return 1;
}

int main(void) {
  int wrong = 0;
  cnn_tensor image = {x, {1, 1, H, H}}, gradient = {back, {1, 1, H, H}};

  for (int i = 0; i < COL; i++) d[i] = 1;
  if (cnn_col2im(d, F, F, 1, 0, gradient) != CNN_OK) return fail();
  printf("how many 3x3 windows cover each element of 5x5:\n");
  for (int i = 0; i < H * H; i++) {
    printf("%3g%s", back[i], i % H == H - 1 ? "\n" : "");
    wrong |= back[i] != windows[i];
  }

  double left = 0, right = 0;
  for (int i = 0; i < H * H; i++) x[i] = (float)(i * 7 % 13) - 6;
  for (int i = 0; i < COL; i++) d[i] = (float)(i * 11 % 17) - 8;
  if (cnn_im2col(image, F, F, 1, 0, col) != CNN_OK) return fail();
  if (cnn_col2im(d, F, F, 1, 0, gradient) != CNN_OK) return fail();
  for (int i = 0; i < COL; i++) left += (double)col[i] * d[i];
  for (int i = 0; i < H * H; i++) right += (double)x[i] * back[i];
  printf("sum(im2col(x) * d) = %g, sum(x * col2im(d)) = %g\n", left, right);
  wrong |= left != right; /* small whole numbers: exact */
  return wrong;
}
