/* Section 7.4.1, four-dimensional arrays: x = np.random.rand(10, 1, 28, 28), x[0], x[1], x[0, 0].
 *
 * A tensor is a view: a pointer to floats that someone else owns, and a shape n, c, h, w. */
#include <cnn.h>
#include <stdio.h>
#include <stdlib.h>

static int wrong;

static void expect(const char *what, cnn_shape s, int64_t n) {
  printf("%-12s (%d, %d, %d, %d)\n", what, (int)s.n, (int)s.c, (int)s.h, (int)s.w);
  wrong |= s.n != n || s.c != 1 || s.h != 28 || s.w != 28;
}

int main(void) {
  cnn_shape shape = {10, 1, 28, 28}; /* 10 images, 1 channel, 28 high, 28 wide */
  int64_t count;
  cnn_tensor x = {NULL, shape}, x0, x1, few;
  if (cnn_shape_count(shape, &count) != CNN_OK) return fprintf(stderr, "%s\n", cnn_why()), 1;
  x.data = malloc((size_t)count * sizeof *x.data);
  if (!x.data) return 1;
  for (int64_t i = 0; i < count; i++) x.data[i] = (float)i;

  if (cnn_tensor_images(x, 0, 1, &x0) != CNN_OK || cnn_tensor_images(x, 1, 1, &x1) != CNN_OK ||
      cnn_tensor_images(x, 2, 5, &few) != CNN_OK)
    return fprintf(stderr, "%s\n", cnn_why()), 1;
  expect("x", x.shape, 10);
  expect("x[0]", x0.shape, 1);
  expect("x[1]", x1.shape, 1);
  expect("x[2:7]", few.shape, 5);

  /* The plane of the first channel of the first image is x[0, 0]; views share the memory. */
  const float *plane = cnn_tensor_at(x, 0, 0, 0, 0);
  *cnn_tensor_at(x1, 0, 0, 3, 4) = -1;
  printf("x[0, 0]      28x28 floats, the last is %g\n", plane[28 * 28 - 1]);
  printf("x1[0,0,3,4]  set to -1; now x[1,0,3,4] is %g\n", *cnn_tensor_at(x, 1, 0, 3, 4));
  wrong |= plane[28 * 28 - 1] != 783 || *cnn_tensor_at(x, 1, 0, 3, 4) != -1;

  /* An image that is not there is an error with a sentence, not a crash. */
  if (cnn_tensor_images(x, 10, 1, &x1) == CNN_OK) wrong = 1;
  printf("x[10]        %s\n", cnn_why());
  free(x.data);
  return wrong;
}
