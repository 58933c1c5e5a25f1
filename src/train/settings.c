/* A run's settings: checked, filled in, and told as one JSON object. See trainer.h. */
#include <inttypes.h>
#include <string.h>

#include "train/trainer.h"

/* ---- Checking ---- */

static cnn_status within(const char *name, double value, double most) {
  if (value >= 0 && value <= most) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "%s is %g; it must be 0 to %g", name, value, most);
}

static cnn_status fraction(const char *name, double value) {
  if (value >= 0 && value < 1) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "%s is %g; it must be at least 0 and below 1", name, value);
}

static cnn_status check_numbers(const cnn_train_options *o) {
  if (o->epochs < 1 || o->epochs > INT32_MAX)
    return CNN_FAIL(CNN_E_ARGUMENT, "epochs is %" PRId64 "; it must be 1 to 2147483647", o->epochs);
  if (!(o->lr >= 0 && o->lr <= 1e6))
    return CNN_FAIL(CNN_E_ARGUMENT, "lr is %g; it must be above 0 and at most 1e6", o->lr);
  if (o->limit < 0) return CNN_FAIL(CNN_E_ARGUMENT, "limit is %" PRId64 "; it must be at least 0", o->limit);
  if (o->patience < 0)
    return CNN_FAIL(CNN_E_ARGUMENT, "patience is %" PRId64 "; it must be at least 0", o->patience);
  CNN_TRY(within("epsilon", o->epsilon, 1));
  CNN_TRY(fraction("momentum", o->momentum));
  CNN_TRY(fraction("beta1", o->beta1));
  CNN_TRY(fraction("beta2", o->beta2));
  CNN_TRY(fraction("decay", o->decay));
  CNN_TRY(within("weight_decay", o->weight_decay, 1000));
  CNN_TRY(within("clip_norm", o->clip_norm, 1e6));
  CNN_TRY(within("clip_value", o->clip_value, 1e6));
  CNN_TRY(fraction("label_smoothing", o->label_smoothing));
  return fraction("ema", o->ema);
}

static cnn_status check_together(const cnn_trainer *t) {
  const cnn_train_options *o = &t->options;
  if (o->clip_norm > 0 && o->clip_value > 0)
    return CNN_FAIL(CNN_E_ARGUMENT, "clip_norm and clip_value exclude each other; choose one");
  if (o->label_smoothing > 0 && t->plan->options.loss != CNN_LOSS_CROSS_ENTROPY)
    return CNN_FAIL(CNN_E_ARGUMENT, "label_smoothing is for the loss cross-entropy");
  if (o->patience > 0 && !(o->validation > 0))
    return CNN_FAIL(CNN_E_ARGUMENT, "patience needs images to validate on; set validation");
  if (schedule_is_plateau(&t->schedule) && !(o->validation > 0))
    return CNN_FAIL(CNN_E_ARGUMENT, "the schedule plateau needs images to validate on; set validation");
  if (o->measure != CNN_MEASURE_LOSS && o->measure != CNN_MEASURE_ERROR)
    return CNN_FAIL(CNN_E_ARGUMENT, "unknown measure %d", (int)o->measure);
  return CNN_OK;
}

cnn_status settings_check(cnn_trainer *t) {
  cnn_train_options *o = &t->options;
  const struct optimizer *optimizer;
  if (t->plan->options.mode != CNN_TRAIN)
    return CNN_FAIL(CNN_E_ARGUMENT, "an inference plan cannot train; make it with CNN_TRAIN");
  if (!o->optimizer)
    return CNN_FAIL(CNN_E_ARGUMENT, "optimizer is NULL; it must be a name, such as \"adam\"");
  CNN_TRY(optimizer_find(o->optimizer, &optimizer));
  if (o->weight_decay < 0) o->weight_decay = optimizer->weight_decay;
  CNN_TRY(check_numbers(o));
  if (o->lr == 0) o->lr = optimizer->lr;
  if (o->epsilon == 0) o->epsilon = optimizer->epsilon;
  o->optimizer = optimizer->name;
  updater_init(&t->updater, t->plan, optimizer, o);
  CNN_TRY(schedule_read(o->schedule, o->warmup, o->epochs, t->steps, &t->schedule));
  schedule_write(&t->schedule, &t->schedule_text);
  if (t->schedule_text.failed) return status_no_memory(64, "a schedule");
  o->schedule = t->schedule_text.data;
  return check_together(t);
}

/* ---- Telling ---- */

/* As a number where JSON readers take it for one, else as text. */
static void write_seed(struct text *s, const char *name, uint64_t seed) {
  const char *quote = seed > INT64_MAX ? "\"" : "";
  text_add(s, ",\"%s\":%s%" PRIu64 "%s", name, quote, seed, quote);
}

static void write_number(struct text *s, const char *name, double value) {
  char number[32];
  text_add(s, ",\"%s\":%s", name, text_from_number(value, number));
}

/* What is done beyond the plain method: only what is in use is told. */
static void write_methods(struct text *s, const cnn_train_options *o) {
  const struct {
    const char *name;
    double value;
  } numbers[] = {
      {"warmup", o->warmup},         {"weight_decay", o->weight_decay},       {"clip_norm", o->clip_norm},
      {"clip_value", o->clip_value}, {"label_smoothing", o->label_smoothing}, {"ema", o->ema}};
  if (strcmp(o->schedule, "constant")) text_add(s, ",\"schedule\":\"%s\"", o->schedule);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (numbers[i].value > 0) write_number(s, numbers[i].name, numbers[i].value);
  if (o->weight_decay > 0 && o->decay_biases) text_add(s, ",\"decay_biases\":true");
}

cnn_status settings_write(cnn_trainer *t) {
  const cnn_train_options *o = &t->options;
  const cnn_plan_options *p = &t->plan->options;
  struct text *s = &t->settings;
  const struct {
    const char *name;
    double value;
  } all[] = {{"momentum", o->momentum},
             {"beta1", o->beta1},
             {"beta2", o->beta2},
             {"decay", o->decay},
             {"epsilon", o->epsilon}};
  text_add(s, "{\"optimizer\":\"%s\"", o->optimizer);
  write_number(s, "lr", o->lr);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (strstr(t->updater.optimizer->settings, all[i].name)) write_number(s, all[i].name, all[i].value);
  write_methods(s, o);
  text_add(s, ",\"loss\":\"%s\"", p->loss == CNN_LOSS_CROSS_ENTROPY ? "cross-entropy" : "mse");
  text_add(s, ",\"batch\":%" PRId64 ",\"group\":%" PRId64 ",\"epochs\":%" PRId64, p->batch, p->group,
           o->epochs);
  write_seed(s, "weights_seed", p->seed);
  write_seed(s, "order_seed", o->seed);
  pixels_write(&t->pixels, s);
  text_add(s, ",\"images\":%" PRId64, t->images);
  if (t->held) text_add(s, ",\"validation\":%" PRId64, t->held);
  if (o->patience) text_add(s, ",\"patience\":%" PRId64, o->patience);
  if (o->patience || schedule_is_plateau(&t->schedule))
    text_add(s, ",\"measure\":\"%s\"", o->measure == CNN_MEASURE_LOSS ? "loss" : "error");
  text_add(s, "}");
  return s->failed ? status_no_memory(1024, "the run's settings") : CNN_OK;
}
