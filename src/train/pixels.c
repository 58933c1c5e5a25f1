/* See pixels.h. */
#include "train/pixels.h"

#include <string.h>

#include "core/memory.h"
#include "data/statistics.h"

static const char forms[] =
    "give none, channel, mean-image, or one of them with scale=, as in 'mean-image scale=255'";

static cnn_status read_word(const char *word, size_t length, struct pixels *pixels, bool *has_kind) {
  static const struct {
    const char *name;
    enum normal normal;
  } kinds[] = {{"none", NORMAL_NONE}, {"channel", NORMAL_CHANNEL}, {"mean-image", NORMAL_MEAN_IMAGE}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!*has_kind && strlen(kinds[i].name) == length && memcmp(kinds[i].name, word, length) == 0) {
      pixels->normal = kinds[i].normal;
      *has_kind = true;
      return CNN_OK;
    }
  if (length > 6 && memcmp(word, "scale=", 6) == 0) {
    if (text_to_number(word + 6, length - 6, &pixels->scale) && pixels->scale >= 1e-6 && pixels->scale <= 1e6)
      return CNN_OK;
    return CNN_FAIL(CNN_E_ARGUMENT, "normalize: %.*s; it must be a number of 1e-6 to 1e6",
                    (int)(length < 60 ? length : 60), word);
  }
  return CNN_FAIL(CNN_E_KEY, "normalize: '%.*s' is not understood: %s", (int)(length < 60 ? length : 60),
                  word, forms);
}

static const char gap[] = " \t\n";

static cnn_status parse_normalize(const char *text, struct pixels *pixels) {
  bool has_kind = false;
  pixels->scale = 1;
  for (const char *s = text; *(s += strspn(s, gap));) {
    size_t length = strcspn(s, gap);
    CNN_TRY(read_word(s, length, pixels, &has_kind));
    s += length;
  }
  if (has_kind) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "normalize: '%.60s' does not say what to subtract: %s", text, forms);
}

static cnn_status write_texts(struct pixels *pixels) {
  static const char *const names[] = {"none", "channel", "mean-image"};
  char number[32];
  augment_write(&pixels->augment, &pixels->augment_text);
  pixels->augmented = pixels->augment_text.length > 0; /* "fill=zero" asks for nothing */
  if (pixels->normalized) text_add(&pixels->normalize_text, "%s", names[pixels->normal]);
  if (pixels->normalized && pixels->scale != 1)
    text_add(&pixels->normalize_text, " scale=%s", text_from_number(pixels->scale, number));
  if (!pixels->augment_text.failed && !pixels->normalize_text.failed) return CNN_OK;
  pixels_free(pixels);
  return status_no_memory(128, "the run's settings");
}

cnn_status pixels_parse(const char *augment, const char *normalize, struct pixels *pixels) {
  struct pixels result = {.normalized = normalize && *normalize};
  CNN_TRY(augment_parse(augment, &result.augment));
  if (result.normalized) CNN_TRY(parse_normalize(normalize, &result));
  CNN_TRY(write_texts(&result));
  *pixels = result;
  return CNN_OK;
}

void pixels_free(struct pixels *pixels) {
  text_free(&pixels->augment_text);
  text_free(&pixels->normalize_text);
}

cnn_status pixels_prepare(const struct pixels *pixels, cnn_plan *plan) {
  cnn_shape input = cnn_net_input(plan->net), source = augment_source(&pixels->augment, input);
  if (pixels->augment.crop_h && pixels->normalized) CNN_TRY(input_set_normal(plan, NULL, 0, NULL));
  if (pixels->augment.crop_h) CNN_TRY(input_set_image(plan, source.h, source.w));
  return augment_check(&pixels->augment, input_image(plan), input);
}

/* The plan's normalisation from what was measured. A channel without deviation keeps factor `scale`. */
static cnn_status set_normal(const struct pixels *pixels, cnn_plan *plan, const struct statistics *s) {
  int64_t c = s->image.c, values = c * s->image.h * s->image.w;
  size_t bytes = (size_t)values * sizeof(float) + (size_t)c * (sizeof(float) + 2 * sizeof(double));
  double *deviation = mem_alloc(bytes);
  if (!deviation) return status_no_memory(bytes, "the input's normalisation");
  double *channel = deviation + c;
  float *factor = (float *)(channel + c), *mean = factor + c;
  bool by_channel = pixels->normal == NORMAL_CHANNEL;
  statistics_channels(s, channel, deviation);
  if (!by_channel) statistics_mean_image(s, mean);
  for (int64_t i = 0; i < c; i++) {
    factor[i] = (float)(by_channel && deviation[i] > 0 ? pixels->scale / deviation[i] : pixels->scale);
    if (by_channel) mean[i] = (float)channel[i];
  }
  cnn_status status = input_set_normal(plan, mean, by_channel ? c : values, factor);
  mem_free(deviation);
  return status;
}

/* `none` with a scale is a mean of 0. */
static cnn_status set_none(const struct pixels *pixels, cnn_plan *plan) {
  int64_t c = cnn_net_input(plan->net).c;
  if (pixels->scale == 1) return input_set_normal(plan, NULL, 0, NULL);
  float *values = mem_zeroed((size_t)c * 2, sizeof *values);
  if (!values) return status_no_memory((size_t)c * 2 * sizeof *values, "the input's normalisation");
  for (int64_t i = 0; i < c; i++) values[c + i] = (float)pixels->scale;
  cnn_status status = input_set_normal(plan, values, c, values + c);
  mem_free(values);
  return status;
}

cnn_status pixels_measure(struct pixels *pixels, cnn_plan *plan, const cnn_dataset *data,
                          const int32_t *index, int64_t images) {
  struct statistics statistics = {0};
  if (pixels->normalized && pixels->normal == NORMAL_NONE) CNN_TRY(set_none(pixels, plan));
  if (pixels->normal == NORMAL_NONE && pixels->augment.color == 0) return CNN_OK;
  CNN_TRY(statistics_new(data, index, images, &statistics));
  cnn_status status = CNN_OK;
  if (pixels->normal != NORMAL_NONE) status = set_normal(pixels, plan, &statistics);
  if (pixels->augment.color > 0) {
    double covariance[3][3];
    statistics_covariance(&statistics, covariance);
    augment_set_colors(&pixels->augment, covariance);
  }
  statistics_free(&statistics);
  return status;
}

void pixels_write(const struct pixels *pixels, struct text *text) {
  if (pixels->augmented) text_add(text, ",\"augment\":\"%s\"", pixels->augment_text.data);
  if (pixels->normalized) text_add(text, ",\"normalize\":\"%s\"", pixels->normalize_text.data);
}

cnn_status cnn_plan_normalize(cnn_plan *plan, const cnn_dataset *data, int64_t limit, const char *how) {
  struct pixels pixels;
  cnn_shape image = cnn_dataset_image(data), in = input_image(plan);
  if (image.c != in.c || image.h != in.h || image.w != in.w)
    return CNN_FAIL(CNN_E_SHAPE, "the images of '%s' are %lldx%lldx%lld; the plan takes %lldx%lldx%lld",
                    cnn_dataset_name(data), (long long)image.c, (long long)image.h, (long long)image.w,
                    (long long)in.c, (long long)in.h, (long long)in.w);
  CNN_TRY(pixels_parse(NULL, how ? how : "none", &pixels));
  cnn_status status = pixels_measure(&pixels, plan, data, NULL, limit);
  pixels_free(&pixels);
  return status;
}
