/* The safetensors format: src/io/safetensors.c. */
#include "io_scratch.h"

#include "io/safetensors.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "core/memory.h"

/* Written by hand from the format's description (github.com/huggingface/safetensors, README): what
 * the writer makes of the tensors below. 0xB0 = 176 bytes of header, then 3 + 2 floats. */
#define HAND_HEADER                                                                        \
  "\xB0\0\0\0\0\0\0\0"                                                                     \
  "{\"__metadata__\":{\"format\":\"cnn\",\"net\":\"a\\n\\\"b\\\" \\\\ \\u0001\xC3\xA4\"}," \
  "\"w\":{\"dtype\":\"F32\",\"shape\":[3,1],\"data_offsets\":[0,12]},"                     \
  "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[12,20]}}"
#define HAND_DATA "\0\0\x80\x3F\0\0\0\xC0\0\0\0\x3F\0\0\0\x80\xDB\x0F\x49\x40" /* 1 -2 0.5 -0 pi */

static const float w_values[] = {1, -2, 0.5F}, b_values[] = {-0.0F, 3.14159274F};
static const struct safetensors_note notes[] = {{"format", "cnn"}, {"net", "a\n\"b\" \\ \001\xC3\xA4"}};
static const struct safetensor tensors[] = {{.name = "w", .dims = 2, .dim = {3, 1}},
                                            {.name = "b", .dims = 1, .dim = {2}}};

static cnn_status fill(void *context, const struct safetensor *tensor, int64_t count, float *values) {
  (void)context;
  memcpy(values, tensor->name[0] == 'w' ? w_values : b_values, (size_t)count * sizeof *values);
  return CNN_OK;
}

static cnn_status write_hand(const char *path) {
  return safetensors_write(path, notes, 2, tensors, 2, fill, NULL);
}

static void test_written_bytes(void **state) {
  (void)state;
  size_t count;
  assert_int_equal(write_hand(in_scratch("a")), CNN_OK);
  char *bytes = get_bytes(in_scratch("a"), &count);
  size_t head = sizeof HAND_HEADER - 1;
  assert_int_equal(count, 8 + 176 + 20);
  assert_memory_equal(bytes, HAND_HEADER, head);
  for (size_t i = head; i < 8 + 176; i++) assert_int_equal(bytes[i], ' ');
  assert_true(8 + 176 - head < 8);
  assert_memory_equal(bytes + 8 + 176, HAND_DATA, 20);
  free(bytes);
  scratch_clear();
}

static void test_round_trip(void **state) {
  (void)state;
  struct safetensors *file = NULL;
  assert_int_equal(write_hand(in_scratch("a")), CNN_OK);
  assert_int_equal(safetensors_read(in_scratch("a"), &file), CNN_OK);
  assert_int_equal(safetensors_count(file), 2);
  assert_string_equal(safetensors_get(file, 0)->name, "b");
  assert_string_equal(safetensors_metadata(file, "net"), notes[1].value);
  assert_null(safetensors_metadata(file, "other"));
  assert_null(safetensors_find(file, "other"));
  const struct safetensor *w = safetensors_find(file, "w"), *b = safetensors_find(file, "b");
  assert_int_equal(w->dims, 2);
  assert_int_equal(w->dim[0], 3);
  assert_int_equal(w->count, 3);
  assert_memory_equal(w->values, w_values, sizeof w_values);
  assert_memory_equal(b->values, b_values, sizeof b_values);
  safetensors_free(file);
  safetensors_free(NULL);
  scratch_clear();
}

/* A file of this header text and `size` bytes of data. */
static void put_file(const char *path, const char *header, size_t size) {
  static char bytes[4096];
  size_t length = strlen(header);
  memset(bytes, 0, sizeof bytes);
  for (int i = 0; i < 8; i++) bytes[i] = (char)(length >> 8 * i);
  memcpy(bytes + 8, header, length);
  put_bytes(path, bytes, 8 + length + size);
}

static cnn_status read_text(const char *header, size_t size, struct safetensors **file) {
  put_file(in_scratch("a"), header, size);
  return safetensors_read(in_scratch("a"), file);
}

/* Files that our writer does not make, but others do. */
static void test_others_files(void **state) {
  (void)state;
  struct safetensors *file = NULL;
  assert_int_equal(read_text("{}", 0, &file), CNN_OK);
  assert_int_equal(safetensors_count(file), 0);
  assert_null(safetensors_metadata(file, "format"));
  safetensors_free(file);

  assert_int_equal(read_text("{ \"z\" : {\"shape\":[],\"data_offsets\":[ 6,10 ],\"dtype\":\"F32\"},"
                             "\"y\":{\"dtype\":\"BF16\",\"shape\":[1,3],\"data_offsets\":[0,6]},"
                             "\"none\":{\"dtype\":\"F32\",\"shape\":[7,0],\"data_offsets\":[10,10]},"
                             "\"x\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[10,12]}}    ",
                             12, &file),
                   CNN_OK);
  assert_int_equal(safetensors_count(file), 4);
  const struct safetensor *z = safetensors_find(file, "z");
  assert_int_equal(z->dims, 0);
  assert_int_equal(z->count, 1);
  assert_null(z->values); /* at byte 6: no float can be read there in place */
  assert_string_equal(safetensors_find(file, "y")->type, "BF16");
  assert_null(safetensors_find(file, "y")->values);
  assert_int_equal(safetensors_find(file, "none")->count, 0);
  safetensors_free(file);
  scratch_clear();
}

#define ENTRY(type, shape, offsets) \
  "{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static const struct lie {
  const char *header;
  size_t size; /* of the data */
  const char *why;
} lies[] = {
    {"[]", 0, "does not begin with '{'"},
    {" {}", 0, "does not begin with '{'"},
    {"{} x", 0, "not valid JSON"},
    {"{\"a\":", 0, "not valid JSON"},
    {"{\"a\xFF\":1}", 0, "not valid JSON"},
    {"{\"a\xC0\xAF\":1}", 0, "not valid JSON"},
    {"{\"a\\u0000\":" ENTRY("F32", "[1]", "[0,4]") "}", 4, "not valid JSON"},
    {"{\"a\x1B\":1}", 0, "not valid JSON"},
    {"{\"a\":[[[[1]]]]}", 0, "nested deeper than 3"},
    {"{\"a\":1}", 0, "its entry is not an object of"},
    {"{\"a\":{}}", 0, "its entry is not an object of"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, "not an object of"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"dataoffsets\":[0,4]}}", 4, "not an object of"},
    {"{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "is not a string"},
    {"{\"a\":" ENTRY("F33", "[1]", "[0,4]") "}", 4, "\"dtype\" is 'F33'"},
    {"{\"a\":" ENTRY("F32", "1", "[0,4]") "}", 4, "\"shape\" is not an array"},
    {"{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "at most 8 dimensions"},
    {"{\"a\":" ENTRY("F32", "[-1]", "[0,4]") "}", 4, "dimension 0"},
    {"{\"a\":" ENTRY("F32", "[1,1.0]", "[0,4]") "}", 4, "dimension 1"},
    {"{\"a\":" ENTRY("F32", "[\"1\"]", "[0,4]") "}", 4, "dimension 0"},
    {"{\"a\":" ENTRY("F32", "[9223372036854775808]", "[0,4]") "}", 4, "too big integer"},
    {"{\"a\":" ENTRY("F32", "[4294967296,4294967296]", "[0,0]") "}", 0, "more elements than a file can hold"},
    {"{\"a\":" ENTRY("F32", "[0,4294967296,4294967296]", "[0,4]") "}", 4, "do not make the 4 bytes"},
    {"{\"a\":" ENTRY("F32", "[4611686018427387904]", "[0,0]") "}", 0, "do not make the 0 bytes"},
    {"{\"a\":" ENTRY("F32", "[1]", "[0]") "}", 4, "\"data_offsets\" is not"},
    {"{\"a\":" ENTRY("F32", "[1]", "[0,4,8]") "}", 4, "\"data_offsets\" is not"},
    {"{\"a\":" ENTRY("F32", "[1]", "{}") "}", 4, "\"data_offsets\" is not"},
    {"{\"a\":" ENTRY("F32", "[1]", "[4,0]") "}", 4, "\"data_offsets\" is not"},
    {"{\"a\":" ENTRY("F32", "[1]", "[-4,0]") "}", 4, "\"data_offsets\" is not"},
    {"{\"a\":" ENTRY("F32", "[1]", "[0.0,4]") "}", 4, "\"data_offsets\" is not"},
    {"{\"a\":" ENTRY("F32", "[2]", "[0,4]") "}", 4, "F32 of shape [2] do not make the 4 bytes"},
    {"{\"a\":" ENTRY("F4", "[3]", "[0,1]") "}", 1, "F4 of shape [3] do not make the 1 bytes"},
    {"{\"a\":" ENTRY("F32", "[1]", "[4,8]") "}", 8, "there is a hole"},
    {"{\"a\":" ENTRY("F32", "[1]", "[0,4]") ",\"b\":" ENTRY("F32", "[1]", "[8,12]") "}", 12,
     "there is a hole"},
    {"{\"a\":" ENTRY("F32", "[1]", "[0,4]") ",\"b\":" ENTRY("F32", "[1]", "[0,4]") "}", 4, "they overlap"},
    {"{\"a\":" ENTRY("F32", "[2]", "[0,8]") ",\"b\":" ENTRY("F32", "[1]", "[4,8]") "}", 8, "they overlap"},
    {"{\"a\":" ENTRY("F32", "[1]", "[0,4]") ",\"a\":" ENTRY("F32", "[1]", "[4,8]") "}", 8, "duplicate"},
    {"{\"a\":" ENTRY("F32", "[1]", "[0,4]") "}", 3, "cut short"},
    {"{\"a\":" ENTRY("F32", "[1]", "[0,4]") "}", 5, "too long"},
    {"{\"a\":" ENTRY("U8", "[9223372036854775807]", "[0,9223372036854775807]") "}", 4, "do not make"},
    {"{\"a\":" ENTRY("F32", "[1000000000000]", "[0,4000000000000]") "}", 4, "cut short"},
    {"{\"__metadata__\":[]}", 0, "\"__metadata__\" is not an object"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "the value of 'a' is not a string"},
    {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate"},
};

static void test_lies_in_the_header(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    struct safetensors *file = NULL;
    if (read_text(lies[i].header, lies[i].size, &file) != CNN_E_FORMAT) fail_msg("taken: %s", lies[i].header);
    assert_null(file);
    assert_why(lies[i].why);
    assert_why(in_scratch("a"));
  }
  scratch_clear();
}

static void test_lies_in_the_length(void **state) {
  (void)state;
  static const struct {
    const char *bytes, *why;
  } cases[] = {
      {"\0\0\0\0\0\0\0\0{}", "a header length of 0 bytes"},
      {"\1\0\0\0\0\0\0\0{}", "a header length of 1 bytes"},
      {"\3\0\0\0\0\0\0\0{}", "is to have 3 bytes, but the file has 10"},
      {"\0\xE1\xF5\5\0\0\0\0{}", "is to have 100000000 bytes"},
      {"\1\xE1\xF5\5\0\0\0\0{}", "not a safetensors file: it begins with a header length of 100000001 bytes"},
      {"\377\377\377\377\377\377\377\377{}", "a header length of 18446744073709551615 bytes"},
      {"\0\0\0\0\0\0\0\x80{}", "a header length of 9223372036854775808 bytes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct safetensors *file = NULL;
    put_bytes(in_scratch("a"), cases[i].bytes, 10);
    assert_int_equal(safetensors_read(in_scratch("a"), &file), CNN_E_FORMAT);
    assert_why(cases[i].why);
    assert_why(in_scratch("a"));
  }
  scratch_clear();
}

static void test_every_truncation(void **state) {
  (void)state;
  size_t count;
  assert_int_equal(write_hand(in_scratch("whole")), CNN_OK);
  char *bytes = get_bytes(in_scratch("whole"), &count);
  for (size_t length = 0; length <= count + 1; length++) {
    struct safetensors *file = NULL;
    put_bytes(in_scratch("a"), bytes, length);
    cnn_status status = safetensors_read(in_scratch("a"), &file);
    if (length == count) {
      assert_int_equal(status, CNN_OK);
      safetensors_free(file);
      continue;
    }
    assert_int_equal(status, CNN_E_FORMAT);
    assert_why(in_scratch("a"));
  }
  free(bytes);
  scratch_clear();
}

/* The same bytes through a pipe, whose length cannot be asked for: whole, cut short, too long. */
static void test_pipes(void **state) {
  (void)state;
  size_t count;
  assert_int_equal(write_hand(in_scratch("whole")), CNN_OK);
  char *bytes = get_bytes(in_scratch("whole"), &count);
  assert_int_equal(mkfifo(in_scratch("pipe"), 0600), 0);
  for (int more = -1; more <= 1; more++) {
    pid_t child = fork();
    if (child == 0) {
      int fd = open(in_scratch("pipe"), O_WRONLY);
      _exit(write(fd, bytes, count + (size_t)more) < 0);
    }
    struct safetensors *file = NULL;
    cnn_status status = safetensors_read(in_scratch("pipe"), &file);
    assert_int_equal(status, more ? CNN_E_FORMAT : CNN_OK);
    if (more) assert_why(more < 0 ? "at least 1 more were expected" : "goes on after byte");
    safetensors_free(file);
    assert_int_equal(waitpid(child, NULL, 0), child);
  }
  free(bytes);
  scratch_clear();
}

static cnn_status fill_and_fail(void *context, const struct safetensor *tensor, int64_t count,
                                float *values) {
  CNN_TRY(fill(context, tensor, count, values));
  return tensor->name[0] == 'b' ? CNN_FAIL(CNN_E_NUMERIC, "no values for you") : CNN_OK;
}

static void test_failures_while_writing(void **state) {
  (void)state;
  put_bytes(in_scratch("a"), "old", 3);
  assert_int_equal(safetensors_write(in_scratch("a"), notes, 2, tensors, 2, fill_and_fail, NULL),
                   CNN_E_NUMERIC);
  assert_string_equal(cnn_why(), "no values for you");
  struct safetensor huge = {.name = "w", .dims = 2, .dim = {INT64_C(1) << 40, INT64_C(1) << 40}};
  assert_int_equal(safetensors_write(in_scratch("a"), notes, 2, &huge, 1, fill, NULL), CNN_E_SHAPE);
  huge.dims = 1, huge.dim[0] = INT64_C(1) << 61;
  assert_int_equal(safetensors_write(in_scratch("a"), notes, 2, &huge, 1, fill, NULL), CNN_E_SHAPE);
  assert_contents(in_scratch("a"), "old");
  assert_int_equal(scratch_clear(), 1);
}

static void test_memory_out(void **state) {
  (void)state;
  cnn_status status = CNN_E_MEMORY;
  put_bytes(in_scratch("a"), "old", 3);
  for (long n = 0; status != CNN_OK; n++) {
    assert_int_equal(status, CNN_E_MEMORY);
    assert_contents(in_scratch("a"), "old");
    mem_fail_after(n);
    status = write_hand(in_scratch("a"));
    mem_fail_after(-1);
  }
  status = CNN_E_MEMORY;
  struct safetensors *file = NULL;
  long n = 0;
  for (; status != CNN_OK; n++) {
    assert_int_equal(status, CNN_E_MEMORY);
    mem_fail_after(n);
    status = safetensors_read(in_scratch("a"), &file);
    mem_fail_after(-1);
  }
  assert_true(n >= 6); /* the handle, the header, its JSON, the list and the data fail, then it succeeds */
  safetensors_free(file);
  assert_int_equal(scratch_clear(), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_written_bytes),
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_others_files),
      cmocka_unit_test(test_lies_in_the_header),
      cmocka_unit_test(test_lies_in_the_length),
      cmocka_unit_test(test_every_truncation),
      cmocka_unit_test(test_pipes),
      cmocka_unit_test(test_failures_while_writing),
      cmocka_unit_test(test_memory_out),
  };
  return cmocka_run_group_tests_name("safetensors", tests, scratch_make, scratch_remove);
}
