/* See schedule.h. Sources: step, multistep, exponential, plateau as torch.optim.lr_scheduler has them;
 * cosine: Loshchilov and Hutter 2017, "SGDR", equation 5, without restarts; one-cycle: Smith and Topin 2018,
 * "Super-convergence", with the two halves of cosines, or lines, of torch's OneCycleLR; warm-up: Goyal et al.
 * 2017, "Accurate, large minibatch SGD", section 2.2. */
#include "train/schedule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A step of a run; first: where the schedule's span begins, after the warm-up. */
struct moment {
  double step, first, steps, epoch;
};

struct schedule_class {
  const char *name, *summary;
  const struct param *params; /* ended by a NULL key; into union schedule_settings */
  double (*rate)(const union schedule_settings *settings, const struct moment *m);
};

#define AT(field) offsetof(union schedule_settings, field)

static const struct param params_constant[] = {{0}};

static double rate_constant(const union schedule_settings *s, const struct moment *m) {
  (void)s, (void)m;
  return 1;
}

/* factor^n, by squaring. */
static double power(double factor, int64_t n) {
  double result = 1;
  for (; n > 0; n /= 2) {
    if (n % 2) result *= factor;
    factor *= factor;
  }
  return result;
}

static const struct param params_step[] = {
    {"every", PARAM_NUMBER, AT(step.every), NULL, 0, 1 << 20, NULL, "epochs from one change to the next"},
    {"factor", PARAM_NUMBER, AT(step.factor), "0.1", 0, 1, NULL, "of the rate, at each change"},
    {0}};

/* How often `every` steps have passed. A change takes effect at the step nearest to it: half a step of room
 * keeps rounding out. */
static int64_t changes(const struct moment *m, double every) {
  double count = (m->step + 0.5) / every;
  return count < 1e9 ? (int64_t)count : 1000000000;
}

static double rate_step(const union schedule_settings *s, const struct moment *m) {
  return power(s->step.factor, changes(m, s->step.every * m->epoch));
}

static const struct param params_exponential[] = {
    {"factor", PARAM_NUMBER, AT(step.factor), NULL, 0, 1, NULL, "of the rate, after each epoch"}, {0}};

static double rate_exponential(const union schedule_settings *s, const struct moment *m) {
  return power(s->step.factor, changes(m, m->epoch));
}

static const struct param params_multistep[] = {
    {"at", PARAM_NUMBERS, AT(multistep.at), NULL, 0, 1 << 20, NULL, "epochs, as in 30,60,80"},
    {"factor", PARAM_NUMBER, AT(multistep.factor), "0.1", 0, 1, NULL, "of the rate, at each of them"},
    {0}};

static double rate_multistep(const union schedule_settings *s, const struct moment *m) {
  int passed = 0;
  while (passed < s->multistep.at.count && m->step + 0.5 >= s->multistep.at.value[passed] * m->epoch)
    passed++;
  return power(s->multistep.factor, passed);
}

/* sin(z) for z in [0, pi/4]: the Taylor series to z^19, the next term being below 2^-75 of it. */
static double sine(double z) {
  double z2 = z * z, sum = 1;
  for (int k = 19; k >= 3; k -= 2) sum = 1 - z2 / (k * (k - 1)) * sum;
  return z * sum;
}

double schedule_half_cosine(double x) {
  const double quarter = 1.5707963267948966; /* pi / 2 */
  if (x > 0.5) {
    double s = sine(quarter * (1 - x));
    return s * s;
  }
  double s = sine(quarter * x);
  return 1 - s * s;
}

/* a / b within [0, 1]; 1 where the span is empty. */
static double share(double a, double b) { return a < 0 ? 0 : a < b ? a / b : 1; }

static const struct param params_cosine[] = {
    {"end", PARAM_NUMBER, AT(cosine.end), "0", 0, 1, NULL, "factor of the rate at the end of the run"}, {0}};

static double rate_cosine(const union schedule_settings *s, const struct moment *m) {
  double passed = share(m->step - m->first, m->steps - m->first);
  return s->cosine.end + (1 - s->cosine.end) * schedule_half_cosine(passed);
}

static const char *const shapes[] = {"cosine", "linear", NULL};

static const struct param params_one_cycle[] = {
    {"rise", PARAM_NUMBER, AT(one_cycle.rise), "0.3", 0, 1, NULL, "share of the steps that go up"},
    {"start", PARAM_NUMBER, AT(one_cycle.start), "0.04", 0, 1, NULL, "factor of the rate at the first step"},
    {"end", PARAM_NUMBER, AT(one_cycle.end), "4e-06", 0, 1, NULL, "factor of the rate at the last step"},
    {"shape", PARAM_CHOICE, AT(one_cycle.shape), "cosine", 0, 0, shapes, "cosine or linear"},
    {0}};

/* The last step up is step rise * steps - 1, as in torch's OneCycleLR. */
static double rate_one_cycle(const union schedule_settings *s, const struct moment *m) {
  double step = m->step < m->first ? 0 : m->step - m->first, last = m->steps - m->first - 1;
  if (last <= 0) return 1; /* a cycle of one step */
  double top = s->one_cycle.rise * (last + 1) - 1;
  if (top < 0) top = 0;
  bool up = top > 0 && step <= top;
  double passed = up ? step / top : share(step - top, last - top);
  double from = up ? s->one_cycle.start : 1, to = up ? 1 : s->one_cycle.end;
  double left = s->one_cycle.shape ? 1 - passed : schedule_half_cosine(passed);
  return from * left + to * (1 - left);
}

static const struct param params_plateau[] = {
    {"factor", PARAM_NUMBER, AT(plateau.factor), "0.1", 0, 1, NULL, "of the rate, at each change"},
    {"patience", PARAM_NUMBER, AT(plateau.patience), "10", 0, 1 << 20, NULL, "epochs without a better one"},
    {"threshold", PARAM_NUMBER, AT(plateau.threshold), "0.0001", 0, 1, NULL, "better by this share counts"},
    {"least", PARAM_NUMBER, AT(plateau.least), "0", 0, 1, NULL, "factor of the rate at least"},
    {0}};

static double rate_plateau(const union schedule_settings *s, const struct moment *m) {
  return rate_constant(s, m); /* the rest is in struct plateau */
}

void schedule_measured(const struct schedule *schedule, struct plateau *plateau, double measure) {
  const union schedule_settings *s = &schedule->settings;
  if (!schedule_is_plateau(schedule)) return;
  plateau->waited++;
  if (!plateau->seen || isnan(plateau->best) || measure < plateau->best * (1 - s->plateau.threshold)) {
    plateau->best = measure;
    plateau->seen = true;
    plateau->waited = 0;
  }
  if ((double)plateau->waited <= s->plateau.patience) return;
  plateau->waited = 0;
  plateau->factor *= s->plateau.factor;
  if (plateau->factor < s->plateau.least) plateau->factor = s->plateau.least;
}

/* ---- The table ---- */

static const struct schedule_class schedules[] = {
#define SCHEDULE(name, word, summary) {word, summary, params_##name, rate_##name},
#include "train/schedules.def"
#undef SCHEDULE
};
enum { SCHEDULES = sizeof schedules / sizeof *schedules };

static int param_count(const struct schedule_class *class) {
  int count = 0;
  while (class->params[count].key) count++;
  return count;
}

int cnn_schedule_count(void) { return SCHEDULES; }

cnn_schedule_info cnn_schedule_get(int index) {
  if (index < 0 || index >= SCHEDULES) return (cnn_schedule_info){0};
  const struct schedule_class *class = &schedules[index];
  return (cnn_schedule_info){class->name, class->summary, param_count(class)};
}

cnn_param_info cnn_schedule_param(int index, int param) {
  if (param < 0 || param >= cnn_schedule_get(index).params) return (cnn_param_info){0};
  const struct param *p = &schedules[index].params[param];
  return (cnn_param_info){p->key, params_type(p), p->standard, p->help};
}

bool schedule_is_plateau(const struct schedule *schedule) { return schedule->class->rate == rate_plateau; }

static cnn_status find(const char *word, size_t length, const struct schedule_class **found) {
  const char *names[SCHEDULES + 1] = {0};
  char copy[40];
  snprintf(copy, sizeof copy, "%.*s", length < sizeof copy ? (int)length : (int)sizeof copy - 1, word);
  struct text known = {0};
  for (int i = 0; i < SCHEDULES; i++) {
    names[i] = schedules[i].name;
    if (strcmp(copy, names[i]) == 0) *found = &schedules[i];
    text_add(&known, "%s%s", i ? ", " : "", names[i]);
  }
  const char *nearest = text_nearest(copy, names), *all = known.data ? known.data : "constant, ...";
  cnn_status status = CNN_OK;
  if (!*found && nearest)
    status = CNN_FAIL(CNN_E_KEY, "unknown schedule '%s'; did you mean '%s'?", copy, nearest);
  else if (!*found)
    status = CNN_FAIL(CNN_E_KEY, "unknown schedule '%s'; there are %s", copy, all);
  text_free(&known);
  return status;
}

cnn_status schedule_read(const char *text, double warmup, int64_t epochs, int64_t epoch,
                         struct schedule *schedule) {
  struct schedule s = {.epoch = epoch, .steps = epochs * epoch};
  if (!text) return CNN_FAIL(CNN_E_ARGUMENT, "schedule is NULL; it must be text, such as \"cosine\"");
  text += strspn(text, " \t");
  size_t length = strcspn(text, " \t");
  CNN_TRY(find(text, length, &s.class));
  cnn_status status = params_read(s.class->params, s.class->name, text + length, NULL, &s.settings);
  if (status != CNN_OK) {
    status_prefix("schedule %s: ", s.class->name);
    return status;
  }
  if (s.class->rate == rate_step && s.settings.step.every <= 0)
    return CNN_FAIL(CNN_E_ARGUMENT, "schedule step: every=0: more than 0 epochs wanted");
  if (!(warmup >= 0 && warmup <= (double)epochs))
    return CNN_FAIL(CNN_E_ARGUMENT, "warmup is %g epochs; it must be 0 to the run's %lld", warmup,
                    (long long)epochs);
  s.warmup = (int64_t)(warmup * (double)epoch + 0.5);
  *schedule = s;
  return CNN_OK;
}

void schedule_write(const struct schedule *schedule, struct text *out) {
  text_add(out, "%s", schedule->class->name);
  params_write(schedule->class->params, &schedule->settings, true, out);
}

double schedule_factor(const struct schedule *schedule, int64_t step) {
  struct moment m = {(double)step, (double)schedule->warmup, (double)schedule->steps,
                     (double)schedule->epoch};
  double rate = schedule->class->rate(&schedule->settings, &m);
  return step < schedule->warmup ? rate * (double)(step + 1) / (double)schedule->warmup : rate;
}
