/* CIFAR's binary files, right and wrong: src/data/cifar.c, by cnn_dataset_open(). All files are made here. */
#include "data_scratch.h"

enum { PIXELS = 3072 };

#define ok(call)                                     \
  do {                                               \
    if ((call) != CNN_OK) fail_msg("%s", cnn_why()); \
  } while (0)

static uint8_t pixel(int seed, int n, int i) { return (uint8_t)(seed * 31 + n * 7 + i % 251); }
static int label(int seed, int n, int classes) { return (seed * 3 + n * 7) % classes; }

/* `count` records; head: 1 for CIFAR-10, 2 for CIFAR-100. */
static void put_records(const char *path, int seed, int count, int head) {
  int record = head + PIXELS;
  uint8_t *bytes = malloc((size_t)count * (size_t)record + 1);
  assert_non_null(bytes);
  for (int n = 0; n < count; n++) {
    uint8_t *at = bytes + n * record;
    at[0] = (uint8_t)label(seed, n, head == 1 ? 10 : 20);
    at[head - 1] = (uint8_t)label(seed, n, head == 1 ? 10 : 100);
    for (int i = 0; i < PIXELS; i++) at[head + i] = pixel(seed, n, i);
  }
  put_bytes(path, bytes, (size_t)count * (size_t)record);
  free(bytes);
}

/* Images first .. first+count-1 of a split are those of put_records(seed, count). */
static void check_images(const cnn_dataset *data, cnn_split split, int first, int seed, int count,
                         int classes) {
  static float values[PIXELS];
  for (int n = 0; n < count; n++) {
    int32_t found;
    ok(cnn_dataset_read(data, split, first + n, values, &found));
    assert_int_equal(found, label(seed, n, classes));
    for (int i = 0; i < PIXELS; i++) assert_true(values[i] == (float)pixel(seed, n, i) / 255.0F);
  }
}

static void make_ten(const char *folder) {
  new_folder(folder);
  for (int i = 1; i <= 5; i++) put_records(in_scratch("ten/data_batch_%d.bin", i), i, 2 + i, 1);
  put_records(in_scratch("ten/test_batch.bin"), 6, 4, 1);
}

static void test_ten(void **state) {
  (void)state;
  cnn_dataset *data = NULL;
  make_ten(in_scratch("ten"));
  ok(cnn_dataset_open(in_scratch("ten"), NULL, &data));
  cnn_shape image = cnn_dataset_image(data);
  assert_true(image.c == 3 && image.h == 32 && image.w == 32);
  assert_int_equal(cnn_dataset_classes(data), 10);
  assert_string_equal(cnn_dataset_class(data, 0), "airplane");
  assert_string_equal(cnn_dataset_class(data, 9), "truck");
  assert_int_equal(cnn_dataset_count(data, CNN_SPLIT_TRAIN), 3 + 4 + 5 + 6 + 7);
  assert_int_equal(cnn_dataset_count(data, CNN_SPLIT_TEST), 4);
  for (int i = 1, first = 0; i <= 5; first += 2 + i++)
    check_images(data, CNN_SPLIT_TRAIN, first, i, 2 + i, 10);
  check_images(data, CNN_SPLIT_TEST, 0, 6, 4, 10);
  cnn_dataset_free(data);
}

static void put_names(const char *path, int count, const char *end) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (int i = 0; i < count; i++) fprintf(file, "thing%d\n", i);
  fputs(end, file);
  assert_int_equal(fclose(file), 0);
}

static void test_hundred(void **state) {
  (void)state;
  cnn_dataset *data = NULL;
  new_folder(in_scratch("hundred"));
  put_records(in_scratch("hundred/train.bin"), 1, 9, 2);
  put_records(in_scratch("hundred/test.bin"), 2, 5, 2);
  ok(cnn_dataset_open(in_scratch("hundred"), NULL, &data));
  assert_int_equal(cnn_dataset_classes(data), 100);
  assert_string_equal(cnn_dataset_class(data, 42), "42");
  check_images(data, CNN_SPLIT_TRAIN, 0, 1, 9, 100);
  check_images(data, CNN_SPLIT_TEST, 0, 2, 5, 100);
  cnn_dataset_free(data);
  const char *names = in_scratch("hundred/fine_label_names.txt");
  put_names(names, 100, "\n"); /* as the real one ends */
  ok(cnn_dataset_open(in_scratch("hundred"), NULL, &data));
  assert_string_equal(cnn_dataset_class(data, 42), "thing42");
  cnn_dataset_free(data);
  const char *longest = "a_name_of_a_class_that_is_longer_than_any_name_of_a_class_has_to_be_here\n";
  for (int i = 0; i < 3; i++) {
    put_names(names, i == 2 ? 99 : 99 + 2 * i, i == 2 ? longest : "");
    assert_fails(CNN_E_DATA, cnn_dataset_open(in_scratch("hundred"), NULL, &data), "100 names of classes");
  }
}

static void test_lists(void **state) {
  (void)state;
  cnn_dataset *data = NULL;
  char source[2048];
  put_records(in_scratch("a.bin"), 1, 20, 1);
  put_records(in_scratch("b.bin"), 2, 3, 1);
  put_records(in_scratch("c.bin"), 3, 6, 2);
  ok(cnn_dataset_open(in_scratch("a.bin"), NULL, &data)); /* split by the seed */
  assert_int_equal(cnn_dataset_count(data, CNN_SPLIT_TRAIN) + cnn_dataset_count(data, CNN_SPLIT_TEST), 20);
  assert_true(cnn_dataset_count(data, CNN_SPLIT_TEST) > 0);
  cnn_dataset_free(data);
  snprintf(source, sizeof source, "%s,%s,%s", in_scratch("a.bin"), in_scratch("b.bin"), in_scratch("a.bin"));
  ok(cnn_dataset_open(source, NULL, &data));
  check_images(data, CNN_SPLIT_TRAIN, 20, 2, 3, 10);
  check_images(data, CNN_SPLIT_TEST, 0, 1, 20, 10);
  cnn_dataset_free(data);
  ok(cnn_dataset_open(in_scratch("c.bin"), NULL, &data));
  assert_int_equal(cnn_dataset_classes(data), 100);
  cnn_dataset_free(data);
  snprintf(source, sizeof source, "%s,%s", in_scratch("a.bin"), in_scratch("c.bin"));
  assert_fails(CNN_E_FORMAT, cnn_dataset_open(source, NULL, &data), "CIFAR-10's records of 3073 bytes");
  assert_fails(CNN_E_IO, cnn_dataset_open(in_scratch("none.bin"), NULL, &data), "none.bin' is not there");
  snprintf(source, sizeof source, "%s,.bin", in_scratch("a.bin"));
  assert_true(cnn_dataset_open(source, NULL, &data) != CNN_OK);
}

/* An IDX file may be called so too: its header tells, also where it is as long as one of CIFAR's. Where
 * neither fits the sentence says of both why; where a file is not there its name alone tells. */
static void test_idx_named_bin(void **state) {
  (void)state;
  enum { IMAGES = 6, H = 62, W = 33, LENGTH = 4 * 3073 }; /* 16 + IMAGES * H * W = LENGTH */
  static uint8_t file[LENGTH], elements[IMAGES * H * W];
  cnn_dataset *data = NULL;
  char source[2048];
  assert_int_equal(make_idx(file, 3, (const uint32_t[]){IMAGES, H, W}, elements, sizeof elements), LENGTH);
  put_bytes(in_scratch("x.bin"), file, LENGTH);
  uint8_t labels[64];
  put_bytes(in_scratch("y.bin"), labels,
            make_idx(labels, 1, (const uint32_t[]){IMAGES}, (const uint8_t[]){0, 1, 0, 1, 0, 1}, IMAGES));
  snprintf(source, sizeof source, "%s,%s", in_scratch("x.bin"), in_scratch("y.bin"));
  ok(cnn_dataset_open(source, NULL, &data));
  assert_true(cnn_dataset_image(data).h == H && cnn_dataset_image(data).w == W);
  cnn_dataset_free(data);
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_open(in_scratch("x.bin"), NULL, &data), "give images,labels");
  put_gzip(in_scratch("x.bin"), file, LENGTH);
  ok(cnn_dataset_open(source, NULL, &data));
  cnn_dataset_free(data);

  put_bytes(in_scratch("x.bin"), file, LENGTH - 1);
  assert_fails(CNN_E_FORMAT, cnn_dataset_open(source, NULL, &data), "multiple of CIFAR-10's 3073 or");
  assert_why("holds 12275 bytes after its header, which asks for 6 x 62 x 33 = 12276");
  put_records(in_scratch("x.bin"), 1, 2, 1);
  size_t size;
  uint8_t *records = get_bytes(in_scratch("x.bin"), &size);
  put_bytes(in_scratch("x.bin"), records, size - 100);
  free(records);
  assert_fails(CNN_E_FORMAT, cnn_dataset_open(in_scratch("x.bin"), NULL, &data), "has 6046 bytes, expected");
  assert_why("x.bin' is not an IDX file: it starts with bytes 0");
  snprintf(source, sizeof source, "%s,%s", in_scratch("gone.bin"), in_scratch("a.bin"));
  assert_fails(CNN_E_IO, cnn_dataset_open(source, NULL, &data), "CIFAR's file '");
  assert_why("gone.bin' is not there");
}

/* 3074 records of CIFAR-10 are as long as 3073 of CIFAR-100: labels tell. */
static void test_either_size(void **state) {
  (void)state;
  cnn_dataset *data = NULL;
  put_records(in_scratch("either.bin"), 1, 3074, 1);
  ok(cnn_dataset_open(in_scratch("either.bin"), NULL, &data));
  assert_int_equal(cnn_dataset_classes(data), 10);
  cnn_dataset_free(data);
  put_records(in_scratch("either.bin"), 1, 3073, 2);
  ok(cnn_dataset_open(in_scratch("either.bin"), NULL, &data));
  assert_int_equal(cnn_dataset_classes(data), 100);
  cnn_dataset_free(data);
}

static void put_byte(const char *path, long at, int byte) {
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  assert_int_equal(fseek(file, at, SEEK_SET), 0);
  assert_int_equal(fputc(byte, file), byte);
  assert_int_equal(fclose(file), 0);
}

static void test_wrong_files(void **state) {
  (void)state;
  cnn_dataset *data = NULL;
  make_ten(in_scratch("ten"));
  assert_int_equal(remove(in_scratch("ten/data_batch_3.bin")), 0);
  assert_fails(CNN_E_DATA, cnn_dataset_open(in_scratch("ten"), NULL, &data), "but no 'data_batch_3.bin'");
  put_bytes(in_scratch("ten/data_batch_3.bin"), "", 0);
  assert_fails(CNN_E_FORMAT, cnn_dataset_open(in_scratch("ten"), NULL, &data),
               "data_batch_3.bin' has 0 bytes");
  put_records(in_scratch("ten/data_batch_3.bin"), 1, 3, 1);
  put_byte(in_scratch("ten/data_batch_3.bin"), 2 * 3073, 10);
  assert_fails(CNN_E_DATA, cnn_dataset_open(in_scratch("ten"), NULL, &data),
               "record 2 has label 10, expected 0 to 9");
  put_records(in_scratch("h.bin"), 1, 3, 2);
  put_byte(in_scratch("h.bin"), 3074, 20);
  assert_fails(CNN_E_DATA, cnn_dataset_open(in_scratch("h.bin"), NULL, &data),
               "record 1 has coarse label 20");
  put_records(in_scratch("h.bin"), 1, 3, 2);
  put_byte(in_scratch("h.bin"), 1, 100);
  assert_fails(CNN_E_DATA, cnn_dataset_open(in_scratch("h.bin"), NULL, &data), "record 0 has label 100");
}

/* Any length but whole records is refused, and no change of bytes does harm. */
static void test_at_random(void **state) {
  (void)state;
  uint64_t random = 17;
  int opened = 0;
  for (int trial = 0; trial < 600; trial++) {
    int head = 1 + trial % 2, count = 3, record = head + PIXELS;
    const char *path = in_scratch("r.bin");
    put_records(path, trial, count, head);
    size_t size;
    uint8_t *bytes = get_bytes(path, &size);
    size_t keep = trial % 3 == 0 ? size : next_random(&random) % (size + 1);
    if (trial % 30 == 1) keep = (size_t)record * (next_random(&random) % 3);
    for (int i = 0; i < 4; i++) bytes[next_random(&random) % size] = (uint8_t)next_random(&random);
    if (trial % 5 == 0) bytes[next_random(&random) % 3 * (unsigned)record + (unsigned)head - 1] = 255;
    put_bytes(path, bytes, keep);
    bool damaged = keep == 0 || keep % (size_t)record != 0;
    for (size_t at = 0; !damaged && at < keep; at += (size_t)record)
      damaged = bytes[at + (size_t)head - 1] >= (head == 1 ? 10 : 100) || (head == 2 && bytes[at] >= 20);
    free(bytes);
    cnn_dataset *data = NULL;
    cnn_status status = cnn_dataset_open(path, NULL, &data);
    if ((status != CNN_OK) != damaged) fail_msg("trial %d, %zu bytes: %s", trial, keep, cnn_why());
    if (status != CNN_OK) assert_why("r.bin");
    opened += status == CNN_OK;
    cnn_dataset_free(data);
  }
  assert_in_range(opened, 100, 500);
}

static void test_memory(void **state) {
  (void)state;
  make_ten(in_scratch("ten"));
  put_names(in_scratch("ten/batches.meta.txt"), 10, "\n");
  for (long fail_at = 0;; fail_at++) {
    cnn_dataset *data = NULL;
    mem_fail_after(fail_at);
    cnn_status status = cnn_dataset_open(in_scratch("ten"), NULL, &data);
    mem_fail_after(-1);
    cnn_dataset_free(data);
    if (status == CNN_OK) break;
    assert_int_equal(status, CNN_E_MEMORY);
    assert_true(fail_at < 100);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ten),         cmocka_unit_test(test_hundred),
      cmocka_unit_test(test_lists),       cmocka_unit_test(test_either_size),
      cmocka_unit_test(test_wrong_files), cmocka_unit_test(test_at_random),
      cmocka_unit_test(test_memory),      cmocka_unit_test(test_idx_named_bin),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
