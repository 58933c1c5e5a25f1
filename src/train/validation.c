/* See validation.h. */
#include "train/validation.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "core/memory.h"
#include "core/rng.h"

cnn_status validation_count(double wanted, int64_t images, int64_t *count) {
  if (!(wanted >= 0) || (wanted >= 1 && wanted != floor(wanted)))
    return CNN_FAIL(CNN_E_ARGUMENT, "validation is %g; it must be a fraction below 1 or a number of images",
                    wanted);
  int64_t held = wanted < 1        ? (int64_t)(wanted * (double)images + 0.5)
                 : wanted < 0x1p62 ? (int64_t)wanted
                                   : images;
  if (wanted > 0 && held < 1) held = 1;
  if (held > 0 && held >= images)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "validation on %" PRId64 " of %" PRId64 " training images leaves none to train on", held,
                    images);
  *count = held;
  return CNN_OK;
}

struct draw {
  int32_t label;
  uint32_t number;
  int32_t image;
  double place; /* within its class, in (0, 1) */
};

static int by_class(const void *a, const void *b) {
  const struct draw *x = a, *y = b;
  if (x->label != y->label) return x->label < y->label ? -1 : 1;
  if (x->number != y->number) return x->number < y->number ? -1 : 1;
  return x->image < y->image ? -1 : x->image > y->image;
}

static int by_place(const void *a, const void *b) {
  const struct draw *x = a, *y = b;
  if (x->place != y->place) return x->place < y->place ? -1 : 1;
  return by_class(a, b);
}

static int by_image(const void *a, const void *b) {
  const struct draw *x = a, *y = b;
  return x->image < y->image ? -1 : x->image > y->image;
}

/* A class of k images spreads its images evenly over (0, 1), in random order; the first `held` of all classes
 * together are then of each class its share. */
cnn_status validation_select(const cnn_dataset *data, int64_t images, int64_t held, uint64_t seed,
                             int32_t *index) {
  struct rng rng = rng_stream(seed, RNG_SPLIT, 1); /* index 0 is the test split's, dataset.c */
  struct draw *draws = mem_zeroed((size_t)images, sizeof *draws);
  if (!draws) return status_no_memory((size_t)images * sizeof *draws, "choosing images to validate on");
  for (int64_t i = 0; i < images; i++)
    draws[i] =
        (struct draw){dataset_label(data, CNN_SPLIT_TRAIN, i), rng_bits(&rng, (uint64_t)i), (int32_t)i, 0};
  qsort(draws, (size_t)images, sizeof *draws, by_class);
  for (int64_t first = 0, next; first < images; first = next) {
    for (next = first; next < images && draws[next].label == draws[first].label;) next++;
    for (int64_t i = first; i < next; i++)
      draws[i].place = ((double)(i - first) + 0.5) / (double)(next - first);
  }
  qsort(draws, (size_t)images, sizeof *draws, by_place);
  qsort(draws, (size_t)held, sizeof *draws, by_image);
  qsort(draws + held, (size_t)(images - held), sizeof *draws, by_image);
  for (int64_t i = 0; i < images; i++) index[i] = draws[(held + i) % images].image;
  mem_free(draws);
  return CNN_OK;
}
