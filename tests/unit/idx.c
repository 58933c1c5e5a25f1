/* IDX files, right and wrong: src/data/idx.c. */
#include "data/idx.h"

#include "data_scratch.h"

/* 4 images of 3x5: element i is 7 * i. */
static size_t make_images(uint8_t *file) {
  uint8_t elements[60];
  for (int i = 0; i < 60; i++) elements[i] = (uint8_t)(7 * i);
  return make_idx(file, 3, (const uint32_t[]){4, 3, 5}, elements, sizeof elements);
}

static size_t make_labels(uint8_t *file) {
  return make_idx(file, 1, (const uint32_t[]){6}, (const uint8_t[]){3, 0, 255, 1, 2, 9}, 6);
}

static void check_images(const char *path) {
  uint8_t *pixels = NULL;
  cnn_shape shape = {0};
  assert_int_equal(idx_read_images(path, &pixels, &shape), CNN_OK);
  assert_int_equal(shape.n, 4);
  assert_int_equal(shape.c, 1);
  assert_int_equal(shape.h, 3);
  assert_int_equal(shape.w, 5);
  for (int i = 0; i < 60; i++) assert_int_equal(pixels[i], (uint8_t)(7 * i));
  mem_pages_free(pixels, 60);
}

static void check_labels(const char *path) {
  static const int32_t expected[] = {3, 0, 255, 1, 2, 9};
  int32_t *labels = NULL;
  int64_t count = 0;
  assert_int_equal(idx_read_labels(path, &labels, &count), CNN_OK);
  assert_int_equal(count, 6);
  assert_memory_equal(labels, expected, sizeof expected);
  mem_free(labels);
}

/* That neither reader takes the file; outputs stay. Returns what read_images said. */
static cnn_status refused(const char *path) {
  uint8_t *pixels = (uint8_t *)scratch;
  int32_t *labels = (int32_t *)(void *)scratch;
  cnn_shape shape = {-1, -1, -1, -1};
  int64_t count = -1;
  assert_int_not_equal(idx_read_labels(path, &labels, &count), CNN_OK);
  assert_non_null(strstr(cnn_why(), path));
  cnn_status status = idx_read_images(path, &pixels, &shape);
  assert_int_not_equal(status, CNN_OK);
  assert_non_null(strstr(cnn_why(), path));
  assert_ptr_equal(pixels, scratch);
  assert_ptr_equal(labels, scratch);
  assert_int_equal(shape.n, -1);
  assert_int_equal(count, -1);
  return status;
}

static void test_good(void **state) {
  (void)state;
  uint8_t file[128];
  size_t length = make_images(file);
  put_bytes(in_scratch("images"), file, length);
  put_gzip(in_scratch("images.gz"), file, length);
  check_images(in_scratch("images"));
  check_images(in_scratch("images.gz"));
  length = make_labels(file);
  put_bytes(in_scratch("labels"), file, length);
  put_gzip(in_scratch("gzip without its ending"), file, length);
  check_labels(in_scratch("labels"));
  check_labels(in_scratch("gzip without its ending"));
}

static void test_rank_4(void **state) {
  (void)state;
  uint8_t file[128], elements[24] = {1, 2, 3}, *pixels;
  size_t length = make_idx(file, 4, (const uint32_t[]){2, 3, 2, 2}, elements, sizeof elements);
  put_bytes(in_scratch("colour"), file, length);
  cnn_shape shape;
  assert_int_equal(idx_read_images(in_scratch("colour"), &pixels, &shape), CNN_OK);
  assert_int_equal(shape.n, 2);
  assert_int_equal(shape.c, 3);
  assert_int_equal(shape.h, 2);
  assert_int_equal(shape.w, 2);
  assert_memory_equal(pixels, elements, sizeof elements);
  mem_pages_free(pixels, sizeof elements);
}

static void test_truncated_at_every_length(void **state) {
  (void)state;
  uint8_t file[128];
  size_t lengths[2] = {make_images(file), 0}, size;
  const char *path = in_scratch("cut");
  put_gzip(in_scratch("whole.gz"), file, lengths[0]);
  uint8_t *packed = get_bytes(in_scratch("whole.gz"), &size);
  for (size_t length = 0; length < lengths[0]; length++) {
    put_bytes(path, file, length);
    assert_int_equal(refused(path), CNN_E_FORMAT);
  }
  for (size_t length = 0; length < size; length++) {
    put_bytes(path, packed, length);
    assert_int_equal(refused(path), CNN_E_FORMAT);
  }
  free(packed);
  lengths[1] = make_labels(file);
  for (size_t length = 0; length < lengths[1]; length++) {
    put_bytes(path, file, length);
    assert_int_equal(refused(path), CNN_E_FORMAT);
  }
}

static void test_too_long(void **state) {
  (void)state;
  uint8_t file[128] = {0};
  size_t length = make_images(file);
  put_bytes(in_scratch("long"), file, length + 1);
  assert_int_equal(refused(in_scratch("long")), CNN_E_FORMAT);
  assert_why("holds 61 bytes after its header, which asks for 4 x 3 x 5 = 60");
  put_gzip(in_scratch("long.gz"), file, length + 1);
  assert_int_equal(refused(in_scratch("long.gz")), CNN_E_FORMAT);
  assert_why("goes on after the 60 bytes");
}

static void test_wrong_magic(void **state) {
  (void)state;
  uint8_t file[128];
  size_t length = make_images(file);
  const char *path = in_scratch("magic");
  for (int at = 0; at < 4; at++) {
    for (int value = 0; value < 256; value++) {
      uint8_t right = file[at];
      if (value == right) continue;
      file[at] = (uint8_t)value;
      put_bytes(path, file, length);
      assert_int_equal(refused(path), CNN_E_FORMAT);
      file[at] = right;
    }
  }
  file[2] = 0x0D;
  put_bytes(path, file, length);
  refused(path);
  assert_why("of type 0x0d (floats), expected 0x08");
  put_bytes(path, "PK\3\4, a zip", 12);
  refused(path);
  assert_why("is not an IDX file: it starts with bytes 50 4b 03 04, expected 00 00 08 03");
}

static void test_exchanged(void **state) {
  (void)state;
  uint8_t file[128], *pixels;
  int32_t *labels;
  int64_t count;
  cnn_shape shape;
  put_bytes(in_scratch("images"), file, make_images(file));
  put_bytes(in_scratch("labels"), file, make_labels(file));
  assert_fails(CNN_E_FORMAT, idx_read_images(in_scratch("labels"), &pixels, &shape),
               "has 1 dimensions, images have 3 (n, h, w) or 4");
  assert_fails(CNN_E_FORMAT, idx_read_labels(in_scratch("images"), &labels, &count),
               "the order of files is images,labels");
}

static void test_dimensions(void **state) {
  (void)state;
  static const struct {
    uint32_t dims[4];
    int rank;
    const char *words;
  } cases[] = {
      {{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, 3, "more bytes than fit in memory"},
      {{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, 4, "more bytes than fit in memory"},
      {{0x80000000, 0x80000000, 2}, 3, "more bytes than fit in memory"},
      {{0x80000000, 0x80000000, 4}, 3, "more bytes than fit in memory"}, /* 2^64: 0 where it wraps */
      {{0x10000, 0x10000, 0x10000}, 3, "its header"},
      {{0, 3, 5}, 3, "dimension 1 of 3 is 0"},
      {{4, 3, 0}, 3, "dimension 3 of 3 is 0"},
      {{4, 3, 6}, 3, "4 x 3 x 6 = 72"},
      {{4, 3, 4}, 3, "4 x 3 x 4 = 48"},
  };
  uint8_t file[128], elements[60] = {0}, *pixels;
  cnn_shape shape;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t length = make_idx(file, cases[i].rank, cases[i].dims, elements, sizeof elements);
    put_bytes(in_scratch("dims"), file, length);
    put_gzip(in_scratch("dims.gz"), file, length);
    assert_fails(CNN_E_FORMAT, idx_read_images(in_scratch("dims"), &pixels, &shape), cases[i].words);
    assert_int_equal(idx_read_images(in_scratch("dims.gz"), &pixels, &shape), CNN_E_FORMAT);
  }
}

static void test_no_such_file(void **state) {
  (void)state;
  assert_int_equal(refused(in_scratch("nothing here")), CNN_E_IO);
  assert_why("No such file");
  assert_int_equal(refused(scratch), CNN_E_IO);
  assert_why("is not a file");
}

/* Damaged gzip streams: any answer but a crash, and never wrong pixels. */
static void test_random_damage(void **state) {
  (void)state;
  uint8_t file[128];
  size_t size;
  uint64_t random = 1;
  const char *path = in_scratch("damaged.gz");
  put_gzip(path, file, make_images(file));
  uint8_t *packed = get_bytes(path, &size);
  int good = 0;
  for (int trial = 0; trial < 1000; trial++) {
    size_t at = next_random(&random) % size;
    uint8_t right = packed[at], *pixels;
    cnn_shape shape;
    packed[at] ^= (uint8_t)(1 + next_random(&random) % 255);
    put_bytes(path, packed, size);
    packed[at] = right;
    if (idx_read_images(path, &pixels, &shape) != CNN_OK) continue;
    good++; /* what changed means nothing: gzip's time, bits behind the last code */
    assert_int_equal(shape.n * shape.c * shape.h * shape.w, 60);
    assert_memory_equal(pixels, file + 16, 60);
    mem_pages_free(pixels, 60);
  }
  assert_in_range(good, 1, 300);
  free(packed);
}

static void test_no_memory(void **state) {
  (void)state;
  uint8_t file[128], *pixels;
  int32_t *labels;
  int64_t count;
  cnn_shape shape;
  put_bytes(in_scratch("images"), file, make_images(file));
  put_bytes(in_scratch("labels"), file, make_labels(file));
  mem_fail_after(0);
  assert_fails(CNN_E_MEMORY, idx_read_images(in_scratch("images"), &pixels, &shape), "out of memory");
  mem_fail_after(0);
  assert_fails(CNN_E_MEMORY, idx_read_labels(in_scratch("labels"), &labels, &count), "out of memory");
  mem_fail_after(-1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good),
      cmocka_unit_test(test_rank_4),
      cmocka_unit_test(test_truncated_at_every_length),
      cmocka_unit_test(test_too_long),
      cmocka_unit_test(test_wrong_magic),
      cmocka_unit_test(test_exchanged),
      cmocka_unit_test(test_dimensions),
      cmocka_unit_test(test_no_such_file),
      cmocka_unit_test(test_random_damage),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
