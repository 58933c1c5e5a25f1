/* JSON from anywhere: src/io/json.c. What headers with lies in them give is in safetensors.c. */
#include "io/json.h"

#include "core/memory.h"
#include "io_scratch.h"

static void test_reading(void **state) {
  (void)state;
  static const struct {
    const char *text, *why; /* NULL: fine */
  } cases[] = {
      {"{\"a\":[1,-2.5e3,true,null,\"\\u00e4\\ud83d\\udc08\"]}  \n", NULL},
      {"17", "not valid JSON"}, /* an array or an object is asked for */
      {"", "not valid JSON"},
      {"[1] 2", "not valid JSON: end of file expected near '2', at byte 5"},
      {"[1,]", "not valid JSON"},
      {"{\"a\":1,\"b\":{},\"a\":2}", "duplicate object key"},
      {"[\"\\u0000\"]", "not valid JSON"},
      {"[\"\\ud83d\"]", "not valid JSON"},
      {"[\"\xE4\"]", "unable to decode byte 0xe4"},
      {"[1e999]", "not valid JSON"},
      {"[\"a\nb\"]", "not valid JSON"},
      {"[[[1]]]", "nested deeper than 2 levels at byte 2"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    json_t *value = NULL;
    cnn_status status = io_json_read(cases[i].text, strlen(cases[i].text), 2, &value);
    assert_int_equal(status, cases[i].why ? CNN_E_FORMAT : CNN_OK);
    if (cases[i].why) assert_why(cases[i].why);
    if (cases[i].why) assert_null(value);
    json_decref(value);
  }
}

/* A text of 20 million '[', and one with a key of 20 MB. */
static void test_limits(void **state) {
  (void)state;
  json_t *value = NULL;
  size_t length = 20 << 20;
  char *text = malloc(length);
  assert_non_null(text);
  memset(text, '[', length);
  assert_int_equal(io_json_read(text, length, 3, &value), CNN_E_FORMAT);
  assert_why("nested deeper than 3 levels at byte 3");
  memset(text, 'x', length);
  memcpy(text, "{\"", 2);
  memcpy(text + length - 4, "\":1}", 4);
  assert_int_equal(io_json_read(text, length, 3, &value), CNN_E_FORMAT);
  assert_why("longer than");
  text[length - 4] = '\\'; /* a string without an end, behind an escape at the very end */
  text[length - 1] = '\\';
  assert_int_equal(io_json_read(text, length, 3, &value), CNN_E_FORMAT);
  const char *brackets = "[\"]]]]]]\", \"\\\"[[[[[[[\"]"; /* in strings they nest nothing */
  assert_int_equal(io_json_read(brackets, strlen(brackets), 1, &value), CNN_OK);
  json_decref(value);
  free(text);
}

static void test_memory_out(void **state) {
  (void)state;
  json_t *value = NULL;
  mem_fail_after(0);
  assert_int_equal(io_json_read("[]", 2, 1, &value), CNN_E_MEMORY);
  mem_fail_after(-1);
  assert_null(value);
}

static void test_quoting(void **state) {
  (void)state;
  static const struct {
    const char *in, *out;
  } cases[] = {
      {"", "\"\""},
      {"a\"\\/\n\t\x7F", "\"a\\\"\\\\/\\n\\u0009\x7F\""},
      {"\xC3\xA4 \xE7\x8C\xAB \xF0\x9F\x90\x88", "\"\xC3\xA4 \xE7\x8C\xAB \xF0\x9F\x90\x88\""},
      {"\xFF|\xC3|\xC0\xAF|\xED\xA0\x80|\xF4\x90\x80\x80|\xE7\x8C",
       "\"\xEF\xBF\xBD|\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
       "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\""},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct text text = {0};
    json_t *value = NULL;
    io_json_quote(&text, cases[i].in);
    assert_string_equal(text.data, cases[i].out);
    text_add(&text, "]");
    struct text list = {0};
    text_add(&list, "[%s", text.data);
    assert_int_equal(io_json_read(list.data, list.length, 1, &value), CNN_OK);
    json_decref(value);
    text_free(&text);
    text_free(&list);
  }
}

static void test_shown(void **state) {
  (void)state;
  assert_string_equal(io_shown("plain").text, "plain");
  assert_string_equal(io_shown("a\x1B[31m\n\xFF\xC2\x9B\xE7\x8C\xAB").text, "a?[31m???\xE7\x8C\xAB");
  char many[200];
  memset(many, 'm', sizeof many);
  many[199] = 0;
  assert_int_equal(strlen(io_shown(many).text), 60);
  for (int i = 0; i < 196; i += 3) memcpy(many + i, "\xE7\x8C\xAB", 3);
  assert_true(strlen(io_shown(many + 1).text) <= 60);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reading), cmocka_unit_test(test_limits), cmocka_unit_test(test_memory_out),
      cmocka_unit_test(test_quoting), cmocka_unit_test(test_shown),
  };
  return cmocka_run_group_tests_name("json", tests, scratch_make, scratch_remove);
}
