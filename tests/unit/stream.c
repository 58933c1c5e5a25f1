/* Data sets that stream: src/data/reader.c, dataset_load(), the batches of src/train/ over them, and
 * core/threads.c's workers. What streams gives the same as what is held in memory, bit for bit, or an error
 * that names the file. */
#include "data_pictures.h"

#include "core/threads.h"
#include "data/reader.h"
#include "data/statistics.h"

#define ok(call)                                     \
  do {                                               \
    if ((call) != CNN_OK) fail_msg("%s", cnn_why()); \
  } while (0)

enum { CLASSES = 3, EACH = 20, SIDE = 10, BYTES = 3 * SIDE * SIDE };

static const char net_text[] =
    "input shape=3x10x10\nconv filters=4 kernel=3 init=he\nrelu\nmaxpool kernel=2 stride=2\n"
    "affine units=3\nsoftmax\n";

static const char *image_path(int class, int i) { return in_scratch("pictures/class%d/%02d.png", class, i); }

/* Colour and grey pictures of several sizes. */
static int make_pictures(void **state) {
  if (scratch_make(state)) return -1;
  static uint8_t pixels[3 * 30 * 30];
  uint64_t random = 9;
  new_folder(in_scratch("pictures"));
  for (int c = 0; c < CLASSES; c++) {
    new_folder(in_scratch("pictures/class%d", c));
    for (int i = 0; i < EACH; i++) {
      unsigned w = 8 + next_random(&random) % 22, h = 8 + next_random(&random) % 22;
      for (size_t k = 0; k < sizeof pixels; k++)
        pixels[k] = (uint8_t)(next_random(&random) % 150 + 40U * (unsigned)c);
      write_png(image_path(c, i), w, h, i % 4 ? 3 : 1, pixels);
    }
  }
  return 0;
}

/* memory 1: streams. */
static cnn_dataset *open_pictures(int64_t memory) {
  cnn_dataset *data = NULL;
  cnn_dataset_options options = cnn_dataset_defaults();
  options.image = (cnn_shape){1, 3, SIDE, SIDE};
  options.memory = memory;
  ok(cnn_dataset_open(in_scratch("pictures"), &options, &data));
  assert_true(cnn_dataset_streams(data) == (memory == 1));
  return data;
}

static void test_same_images(void **state) {
  (void)state;
  cnn_dataset *held = open_pictures(0), *streamed = open_pictures(1);
  static float a[BYTES], b[BYTES];
  assert_true(cnn_dataset_bytes(streamed) < cnn_dataset_bytes(held));
  for (cnn_split split = CNN_SPLIT_TRAIN; split <= CNN_SPLIT_TEST; split++) {
    assert_int_equal(cnn_dataset_count(held, split), cnn_dataset_count(streamed, split));
    for (int64_t i = 0; i < cnn_dataset_count(held, split); i++) {
      int32_t label_a, label_b;
      ok(cnn_dataset_read(held, split, i, a, &label_a));
      ok(cnn_dataset_read(streamed, split, i, b, &label_b));
      assert_int_equal(label_a, label_b);
      assert_memory_equal(a, b, sizeof a);
    }
  }
  struct statistics of_a, of_b;
  ok(statistics_new(held, NULL, 0, &of_a));
  ok(statistics_new(streamed, NULL, 0, &of_b));
  assert_memory_equal(of_a.sum, of_b.sum, (BYTES + 3) * sizeof *of_a.sum);
  assert_memory_equal(of_a.product, of_b.product, sizeof of_a.product);
  statistics_free(&of_a);
  statistics_free(&of_b);
  cnn_dataset_free(held);
  cnn_dataset_free(streamed);
}

/* The limit is on decoded bytes, exactly. */
static void test_limit(void **state) {
  (void)state;
  for (int64_t memory = CLASSES * EACH * BYTES - 1; memory <= CLASSES * EACH * BYTES; memory++) {
    cnn_dataset *data = NULL;
    cnn_dataset_options options = cnn_dataset_defaults();
    options.image = (cnn_shape){1, 3, SIDE, SIDE};
    options.memory = memory;
    ok(cnn_dataset_open(in_scratch("pictures"), &options, &data));
    assert_true(cnn_dataset_streams(data) == (memory < CLASSES * EACH * BYTES));
    cnn_dataset_free(data);
  }
  cnn_dataset_options options = cnn_dataset_defaults();
  options.memory = -1;
  cnn_dataset *data = NULL;
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_open(in_scratch("pictures"), &options, &data), "memory is -1");
}

/* ---- the reader: whatever is asked ahead, what is taken is what was asked for ---- */

static void test_reader(void **state) {
  (void)state;
  enum { ROOM = 7 };
  cnn_dataset *held = open_pictures(0), *streamed = open_pictures(1);
  uint64_t random = 4;
  for (int threads = 0; threads <= 3; threads++) {
    struct reader *reader = NULL;
    ok(reader_new(streamed, ROOM, threads, &reader));
    int32_t order[2][ROOM];
    struct request now = {.count = 0}, next = {.count = 0};
    for (int trial = 0; trial < 60; trial++) {
      bool as_asked = next.count > 0 && next_random(&random) % 3 > 0;
      if (as_asked) {
        now = next;
      } else {
        now = (struct request){.split = next_random(&random) % 2, .count = 1 + next_random(&random) % ROOM};
        now.index = order[trial % 2];
        for (int i = 0; i < ROOM; i++)
          order[trial % 2][i] =
              (int32_t)(next_random(&random) % (uint32_t)cnn_dataset_count(held, now.split));
        if (now.split == CNN_SPLIT_TRAIN && next_random(&random) % 4 == 0) now.index = NULL;
      }
      ok(reader_take(reader, now));
      next = (struct request){.split = CNN_SPLIT_TRAIN,
                              .first = next_random(&random) % 40,
                              .count = next_random(&random) % (ROOM + 1)};
      reader_ahead(reader, next);
      for (int64_t n = 0; n < now.count; n++) {
        int64_t image = now.index ? now.index[now.first + n] : now.first + n;
        assert_memory_equal(reader_pixels(reader, n), dataset_pixels(held, now.split, image), BYTES);
      }
    }
    reader_free(reader); /* with a batch under way */
  }
  cnn_dataset_free(held);
  cnn_dataset_free(streamed);
}

/* ---- training ---- */

/* A model of two epochs; its evaluation by two looks. */
static cnn_evaluation train(const cnn_dataset *data, int threads, const char *path) {
  cnn_net *net = NULL;
  cnn_plan *plan = NULL;
  cnn_trainer *trainer = NULL;
  cnn_plan_options options = cnn_plan_defaults();
  cnn_train_options settings = cnn_train_defaults();
  cnn_evaluation evaluation;
  options.batch = 8;
  options.threads = threads;
  settings.epochs = 2;
  settings.augment = "flip shift=1 color=0.1";
  settings.normalize = "mean-image";
  ok(cnn_net_parse(net_text, "test", &net));
  ok(cnn_plan_new(net, &options, &plan));
  ok(cnn_trainer_new(plan, data, &settings, &trainer));
  ok(cnn_trainer_run(trainer));
  ok(cnn_model_save(path, plan, NULL));
  ok(cnn_evaluate_tta(plan, data, CNN_SPLIT_TEST, 0, "flip", &evaluation));
  cnn_trainer_free(trainer);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return evaluation;
}

static void test_same_model(void **state) {
  (void)state;
  cnn_dataset *held = open_pictures(0), *streamed = open_pictures(1);
  size_t size, again;
  cnn_evaluation first = train(held, 2, in_scratch("held.safetensors"));
  uint8_t *expected = get_bytes(in_scratch("held.safetensors"), &size);
  for (int threads = 1; threads <= 3; threads++) {
    cnn_evaluation evaluation = train(streamed, threads, in_scratch("streamed.safetensors"));
    uint8_t *model = get_bytes(in_scratch("streamed.safetensors"), &again);
    assert_int_equal(size, again);
    assert_memory_equal(model, expected, size);
    assert_memory_equal(&evaluation, &first, sizeof first);
    free(model);
  }
  free(expected);
  cnn_dataset_free(held);
  cnn_dataset_free(streamed);
}

/* The memory told holds both batches of the reader: their pixels and which images they are. */
static void test_memory_told(void **state) {
  (void)state;
  cnn_memory told[2];
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = 8;
  for (int streams = 0; streams < 2; streams++) {
    cnn_dataset *data = open_pictures(streams);
    cnn_net *net = NULL;
    cnn_plan *plan = NULL;
    cnn_trainer *trainer = NULL;
    ok(cnn_net_parse(net_text, "test", &net));
    ok(cnn_plan_new(net, &options, &plan));
    ok(cnn_trainer_new(plan, data, NULL, &trainer));
    told[streams] = cnn_trainer_memory(trainer);
    cnn_trainer_free(trainer);
    cnn_plan_free(plan);
    cnn_net_free(net);
    cnn_dataset_free(data);
  }
  int64_t ahead = 2 * 8 * (BYTES + (int64_t)sizeof(int32_t)), more = told[1].total - told[0].total;
  assert_in_range(more, ahead, ahead + 2 * 63);
  assert_int_equal(told[1].scratch - told[0].scratch, more);
}

/* ---- files that go bad ---- */

static cnn_status try_to_train(const cnn_dataset *data, const char *normalize) {
  cnn_net *net = NULL;
  cnn_plan *plan = NULL;
  cnn_trainer *trainer = NULL;
  cnn_plan_options options = cnn_plan_defaults();
  cnn_train_options settings = cnn_train_defaults();
  options.batch = 8;
  options.threads = 2;
  settings.epochs = 1;
  settings.normalize = normalize;
  ok(cnn_net_parse(net_text, "test", &net));
  ok(cnn_plan_new(net, &options, &plan));
  cnn_status status = cnn_trainer_new(plan, data, &settings, &trainer);
  if (status == CNN_OK) status = cnn_trainer_run(trainer);
  cnn_trainer_free(trainer);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return status;
}

static void test_broken_images(void **state) {
  (void)state;
  cnn_dataset *data = open_pictures(1);
  struct reader *reader = NULL;
  size_t size, other;
  const char *one = image_path(1, 7), *two = image_path(1, 8);
  uint8_t *bytes = get_bytes(one, &size), *more = get_bytes(two, &other);
  put_bytes(one, bytes, size / 2);
  put_bytes(two, "no picture", 10);
  assert_fails(CNN_E_FORMAT, try_to_train(data, NULL), "class1/0");
  assert_fails(CNN_E_FORMAT, try_to_train(data, "channel"), "class1/0");
  /* of two broken ones it is always the first of the batch that is named, and a whole batch goes on */
  int32_t order[2] = {-1, -1}, whole = 0;
  for (int32_t i = 0; i < data->part[0].count; i++) {
    if (strcmp(data->part[0].paths[i], one) == 0) order[0] = i;
    if (strcmp(data->part[0].paths[i], two) == 0) order[1] = i;
  }
  assert_true(order[0] >= 0 && order[1] >= 0); /* both are for training */
  ok(reader_new(data, 2, 3, &reader));
  for (int trial = 0; trial < 50; trial++) {
    struct request request = {.index = order, .count = 2};
    assert_fails(CNN_E_FORMAT, reader_take(reader, request), "class1/07.png");
    reader_ahead(reader, request);
    assert_fails(CNN_E_FORMAT, reader_take(reader, request), "class1/07.png");
    ok(reader_take(reader, (struct request){.index = &whole, .count = 1}));
  }
  assert_int_equal(remove(one), 0);
  assert_fails(CNN_E_IO, reader_take(reader, (struct request){.index = order, .count = 1}), "class1/07.png");
  float values[BYTES];
  assert_fails(CNN_E_IO, cnn_dataset_read(data, CNN_SPLIT_TRAIN, order[0], values, NULL), "class1/07.png");
  reader_free(reader);
  put_bytes(one, bytes, size);
  put_bytes(two, more, other);
  free(bytes);
  free(more);
  cnn_dataset_free(data);
}

static void test_memory(void **state) {
  (void)state;
  cnn_dataset *data = NULL;
  cnn_dataset_options options = cnn_dataset_defaults();
  options.memory = 1;
  cnn_status status = CNN_E_MEMORY;
  for (long fail_at = 0; status != CNN_OK; fail_at++) {
    mem_fail_after(fail_at);
    status = cnn_dataset_open(in_scratch("pictures"), &options, &data);
    mem_fail_after(-1);
    assert_true(status == CNN_OK || status == CNN_E_MEMORY);
  }
  struct reader *reader = NULL;
  for (long fail_at = 0; fail_at < 3; fail_at++) {
    mem_fail_after(fail_at);
    assert_int_equal(reader_new(data, 4, 1, &reader), CNN_E_MEMORY);
    mem_fail_after(-1);
  }
  cnn_dataset_free(data);
}

/* ---- workers ---- */

struct counted {
  int64_t left, done;
};

static void count_down(struct workers *workers, void *context) {
  struct counted *counted = context;
  workers_lock(workers);
  while (counted->left >= 0) {
    if (counted->left > 0)
      counted->left--, counted->done++;
    else
      workers_wait(workers);
    workers_wake(workers);
  }
  workers_unlock(workers);
}

static void test_workers(void **state) {
  (void)state;
  for (int threads = 0; threads <= 4; threads++) {
    struct counted counted = {.left = 0};
    struct workers *workers = workers_new(threads, count_down, &counted);
    assert_non_null(workers);
    workers_lock(workers);
    counted.left = 1000;
    workers_wake(workers);
    while (threads && counted.done < 1000) workers_wait(workers);
    counted.left = -1;
    workers_wake(workers);
    workers_unlock(workers);
    workers_free(workers);
    assert_int_equal(counted.done, threads ? 1000 : 0);
  }
  workers_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_images), cmocka_unit_test(test_limit),         cmocka_unit_test(test_reader),
      cmocka_unit_test(test_same_model),  cmocka_unit_test(test_broken_images), cmocka_unit_test(test_memory),
      cmocka_unit_test(test_workers),     cmocka_unit_test(test_memory_told),
  };
  return cmocka_run_group_tests(tests, make_pictures, scratch_remove);
}
