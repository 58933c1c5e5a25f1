/* See statistics.h. */
#include "data/statistics.h"

#include <math.h>

#include "core/memory.h"
#include "core/threads.h"
#include "data/reader.h"

static uint64_t dot(const uint8_t *x, const uint8_t *y, int64_t count) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (uint32_t)x[i] * y[i];
  return sum;
}

/* Sums stay below 2^64 for 2^48 pixels. */
static void add_image(struct statistics *s, const uint8_t *pixels) {
  int64_t plane = s->image.h * s->image.w;
  for (int64_t i = 0; i < s->image.c * plane; i++) s->sum[i] += pixels[i];
  for (int64_t c = 0; c < s->image.c; c++) s->square[c] += dot(pixels + c * plane, pixels + c * plane, plane);
  if (s->image.c != 3) return;
  s->product[0] += dot(pixels, pixels + plane, plane);
  s->product[1] += dot(pixels, pixels + 2 * plane, plane);
  s->product[2] += dot(pixels + plane, pixels + 2 * plane, plane);
}

static cnn_status add_images(const cnn_dataset *dataset, const int32_t *index, struct statistics *s) {
  if (!dataset_streams(dataset)) {
    for (int64_t n = 0; n < s->count; n++)
      add_image(s, dataset_pixels(dataset, CNN_SPLIT_TRAIN, index ? index[n] : n));
    return CNN_OK;
  }
  enum { ROOM = 64 };
  struct reader *reader;
  CNN_TRY(reader_new(dataset, ROOM, threads_processors(), &reader));
  cnn_status status = CNN_OK;
  for (int64_t n = 0; n < s->count && status == CNN_OK; n += ROOM) {
    int64_t left = s->count - n, after = left - ROOM;
    struct request now = {CNN_SPLIT_TRAIN, index, n, left < ROOM ? left : ROOM};
    status = reader_take(reader, now);
    reader_ahead(reader, (struct request){CNN_SPLIT_TRAIN, index, n + ROOM, after < ROOM ? after : ROOM});
    for (int64_t i = 0; i < now.count && status == CNN_OK; i++) add_image(s, reader_pixels(reader, i));
  }
  reader_free(reader);
  return status;
}

cnn_status statistics_new(const cnn_dataset *dataset, const int32_t *index, int64_t count,
                          struct statistics *statistics) {
  struct statistics s = {.image = dataset->image, .count = cnn_dataset_count(dataset, CNN_SPLIT_TRAIN)};
  size_t values = (size_t)dataset_image_bytes(dataset);
  if (count > 0 && count < s.count) s.count = count;
  if (s.count < 1)
    return CNN_FAIL(CNN_E_DATA, "'%s' has no images in its training split", cnn_dataset_name(dataset));
  s.sum = mem_zeroed(values + (size_t)s.image.c, sizeof *s.sum);
  if (!s.sum) return status_no_memory(values * sizeof *s.sum, "sums over images");
  s.square = s.sum + values;
  cnn_status status = add_images(dataset, index, &s);
  if (status == CNN_OK)
    *statistics = s;
  else
    statistics_free(&s);
  return status;
}

void statistics_free(struct statistics *statistics) {
  mem_free(statistics->sum);
  *statistics = (struct statistics){0};
}

void statistics_mean_image(const struct statistics *s, float *mean) {
  int64_t values = s->image.c * s->image.h * s->image.w;
  for (int64_t i = 0; i < values; i++) mean[i] = (float)((double)s->sum[i] / (255.0 * (double)s->count));
}

static uint64_t channel_sum(const struct statistics *s, int64_t c) {
  int64_t plane = s->image.h * s->image.w;
  uint64_t sum = 0;
  for (int64_t i = 0; i < plane; i++) sum += s->sum[c * plane + i];
  return sum;
}

static double pixels_of(const struct statistics *s) {
  return (double)s->count * (double)(s->image.h * s->image.w);
}

/* E[xy] - E[x] E[y] as one fraction of whole numbers, so that a constant channel has none. */
static double covariance_of(const struct statistics *s, int64_t a, int64_t b, uint64_t product) {
  __int128 n = (__int128)s->count * (s->image.h * s->image.w);
  __int128 top = n * (__int128)product - (__int128)channel_sum(s, a) * (__int128)channel_sum(s, b);
  return (double)top / pixels_of(s) / pixels_of(s) / 65025;
}

void statistics_channels(const struct statistics *s, double *mean, double *deviation) {
  for (int64_t c = 0; c < s->image.c; c++) {
    mean[c] = (double)channel_sum(s, c) / pixels_of(s) / 255;
    deviation[c] = sqrt(covariance_of(s, c, c, s->square[c]));
  }
}

void statistics_covariance(const struct statistics *s, double covariance[3][3]) {
  static const int at[3][2] = {{0, 1}, {0, 2}, {1, 2}};
  for (int c = 0; c < 3; c++) covariance[c][c] = covariance_of(s, c, c, s->square[c]);
  for (int i = 0; i < 3; i++) {
    int a = at[i][0], b = at[i][1];
    covariance[a][b] = covariance[b][a] = covariance_of(s, a, b, s->product[i]);
  }
}
