/* Section 7.2.4: equation (7.1), OH = (H + 2P - FH) / S + 1, its three examples, and what happens where the
 * division leaves a rest. */
#include <cnn.h>
#include <stdio.h>

static int example(const char *name, const int64_t in[2], int64_t pad, int64_t stride, int64_t filter,
                   int64_t oh, int64_t ow) {
  int64_t out[2];
  for (int i = 0; i < 2; i++)
    if (cnn_output_size(in[i], filter, stride, pad, 1, CNN_ROUND_ERROR, &out[i]) != CNN_OK) {
      fprintf(stderr, "%s: %s\n", name, cnn_why());
      return 1;
    }
  printf("%s: input (%d, %d), pad %d, stride %d, filter (%d, %d): output (%d, %d)\n", name, (int)in[0],
         (int)in[1], (int)pad, (int)stride, (int)filter, (int)filter, (int)out[0], (int)out[1]);
  return out[0] != oh || out[1] != ow;
}

int main(void) {
  int wrong = example("example 1 (Figure 7-6)", (int64_t[2]){4, 4}, 1, 1, 3, 4, 4);
  wrong |= example("example 2 (Figure 7-7)", (int64_t[2]){7, 7}, 0, 2, 3, 3, 3);
  wrong |= example("example 3", (int64_t[2]){28, 31}, 2, 3, 5, 10, 11);

  /* (6 - 3) / 2 is not whole. "Raise an error" is the default; rounding must be asked for. */
  int64_t out = 0;
  if (cnn_output_size(6, 3, 2, 0, 1, CNN_ROUND_ERROR, &out) != CNN_E_SHAPE) wrong = 1;
  printf("input 6, filter 3, stride 2: %s\n", cnn_why());
  if (cnn_output_size(6, 3, 2, 0, 1, CNN_ROUND_FLOOR, &out) != CNN_OK || out != 2) wrong = 1;
  printf("  with round=floor: %d\n", (int)out);
  if (cnn_output_size(6, 3, 2, 0, 1, CNN_ROUND_CEIL, &out) != CNN_OK || out != 3) wrong = 1;
  printf("  with round=ceil:  %d\n", (int)out);
  return wrong;
}
