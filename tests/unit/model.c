/* Model files: src/io/model.c. Round trips, the format as another program reads it, damage of every
 * kind, and saving that fails or is killed. */
#include "io_scratch.h"

#include "cnn.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "core/memory.h"
#include "core/status.h"
#include "io/safetensors.h"

static const char net_text[] =
    "input shape=1x6x6\n"
    "conv name=conv1 filters=2 kernel=3\n"
    "relu\n"
    "maxpool kernel=2 stride=2\n"
    "affine units=3\n"
    "softmax\n";
static const char *const class_names[] = {"cat", "\xE7\x8C\xAB \"3\"", "dog"};
static const char settings_text[] = "{\"epochs\": 20, \"data\": \"mnist\", \"lr\": 0.001}";
static const cnn_model_info full_info = {settings_text, class_names, 3};

enum { WEIGHTS = 4, MOST = 64 }; /* conv1 and affine1, each with a bias; no weight has more elements */

static cnn_net *new_net(const char *text) {
  cnn_net *net = NULL;
  ok(cnn_net_parse(text, "test", &net));
  return net;
}

static cnn_plan *new_plan(const cnn_net *net, uint64_t seed) {
  cnn_plan_options options = cnn_plan_defaults();
  options.mode = CNN_INFER;
  options.batch = 1;
  options.seed = seed;
  options.threads = 1; /* this program forks */
  cnn_plan *plan = NULL;
  ok(cnn_plan_new(net, &options, &plan));
  return plan;
}

/* A net, a plan with weights that are not all zero, and its file "m". */
struct saved {
  cnn_net *net;
  cnn_plan *plan;
  const char *path;
};

static void set_all(cnn_plan *plan, float value) {
  cnn_weight_info weight;
  for (int i = 0; i < cnn_net_weight_count(cnn_plan_net(plan)); i++) {
    float values[MOST];
    assert_int_equal(cnn_net_weight(cnn_plan_net(plan), i, &weight), CNN_OK);
    assert_true(weight.count <= MOST);
    for (int k = 0; k < weight.count; k++) values[k] = value;
    assert_int_equal(cnn_plan_set_weight(plan, weight.name, values, weight.count), CNN_OK);
  }
}

static struct saved save_one(void) {
  static char path[600];
  snprintf(path, sizeof path, "%s", in_scratch("m"));
  struct saved saved = {new_net(net_text), NULL, path};
  saved.plan = new_plan(saved.net, 7);
  float bias[3] = {0.25F, -1, 1e-30F};
  assert_int_equal(cnn_plan_set_weight(saved.plan, "affine1.bias", bias, 3), CNN_OK);
  ok(cnn_model_save(path, saved.plan, &full_info));
  return saved;
}

static void done(struct saved saved) {
  cnn_plan_free(saved.plan);
  cnn_net_free(saved.net);
  scratch_clear();
}

static void assert_same_weights(const cnn_plan *a, const cnn_plan *b) {
  assert_int_equal(cnn_net_weight_count(cnn_plan_net(a)), WEIGHTS);
  for (int i = 0; i < WEIGHTS; i++) {
    cnn_weight_info weight;
    float va[MOST], vb[MOST];
    assert_int_equal(cnn_net_weight(cnn_plan_net(a), i, &weight), CNN_OK);
    assert_int_equal(cnn_plan_get_weight(a, weight.name, va, weight.count), CNN_OK);
    assert_int_equal(cnn_plan_get_weight(b, weight.name, vb, weight.count), CNN_OK);
    assert_memory_equal(va, vb, (size_t)weight.count * sizeof *va);
  }
}

static void assert_same_files(const char *a, const char *b) {
  size_t count_a, count_b;
  char *bytes_a = get_bytes(a, &count_a), *bytes_b = get_bytes(b, &count_b);
  assert_int_equal(count_a, count_b);
  assert_memory_equal(bytes_a, bytes_b, count_a);
  free(bytes_a);
  free(bytes_b);
}

static void test_round_trip(void **state) {
  (void)state;
  struct saved saved = save_one();
  cnn_model *model = NULL;
  assert_int_equal(cnn_model_load(saved.path, &model), CNN_OK);
  assert_string_equal(cnn_model_settings(model), settings_text);
  for (int i = 0; i < 3; i++) assert_string_equal(cnn_model_class(model, i), class_names[i]);
  assert_null(cnn_model_class(model, 3));
  assert_null(cnn_model_class(model, -1));
  assert_int_equal(cnn_net_layer_count(cnn_model_net(model)), cnn_net_layer_count(saved.net));

  cnn_plan *plan = new_plan(cnn_model_net(model), 8);
  assert_int_equal(cnn_model_apply(model, plan), CNN_OK);
  assert_same_weights(plan, saved.plan);
  assert_int_equal(cnn_model_save(in_scratch("again"), plan, &full_info), CNN_OK);
  assert_same_files(saved.path, in_scratch("again"));
  assert_int_equal(cnn_model_save(saved.path, saved.plan, &full_info), CNN_OK);
  assert_same_files(saved.path, in_scratch("again"));
  cnn_plan_free(plan);
  cnn_model_free(model);
  cnn_model_free(NULL);
  done(saved);
}

/* The file as a program sees it that knows nothing but the format's description. */
static void test_another_reader(void **state) {
  (void)state;
  struct saved saved = save_one();
  size_t count, place = 0;
  unsigned char *bytes = (unsigned char *)get_bytes(saved.path, &count);
  uint64_t header = 0;
  for (int i = 7; i >= 0; i--) header = header * 256 + bytes[i];
  assert_int_equal(header % 8, 0);
  json_t *root = json_loadb((char *)bytes + 8, header, JSON_REJECT_DUPLICATES, NULL), *entry;
  assert_non_null(root);
  const char *name;
  json_object_foreach(root, name, entry) {
    if (strcmp(name, "__metadata__") == 0) continue;
    json_int_t begin, end, elements = 1;
    json_t *shape, *dim;
    const char *type;
    size_t k;
    assert_int_equal(json_unpack(entry, "{s:s, s:o, s:[I,I!] !}", "dtype", &type, "shape", &shape,
                                 "data_offsets", &begin, &end),
                     0);
    json_array_foreach(shape, k, dim) elements *= json_integer_value(dim);
    assert_string_equal(type, "F32");
    assert_int_equal(begin, place);
    assert_int_equal(end - begin, elements * 4);
    float expected[MOST];
    assert_int_equal(cnn_plan_get_weight(saved.plan, name, expected, elements), CNN_OK);
    assert_memory_equal(bytes + 8 + header + begin, expected, (size_t)elements * 4);
    place = (size_t)end;
  }
  assert_int_equal(8 + header + place, count);
  assert_int_equal(json_object_size(root), 1 + WEIGHTS);
  json_t *dims = json_object_get(json_object_get(root, "conv1.weight"), "shape");
  assert_int_equal(json_array_size(dims), 4);
  json_t *metadata = json_object_get(root, "__metadata__");
  assert_string_equal(json_string_value(json_object_get(metadata, "format")), "cnn");
  assert_string_equal(json_string_value(json_object_get(metadata, "cnn_version")), "1");
  assert_string_equal(json_string_value(json_object_get(metadata, "net")), cnn_net_text(saved.net));
  json_decref(root);
  free(bytes);
  done(saved);
}

static void test_what_may_be_left_out(void **state) {
  (void)state;
  struct saved saved = save_one();
  cnn_model *model = NULL;
  assert_int_equal(cnn_model_save(saved.path, saved.plan, NULL), CNN_OK);
  assert_int_equal(cnn_model_load(saved.path, &model), CNN_OK);
  assert_string_equal(cnn_model_settings(model), "{}");
  assert_null(cnn_model_class(model, 0));
  cnn_model_free(model);

  /* the name of a folder need not be UTF-8 */
  const char *const odd[] = {"caf\xE9", "x\ny"};
  assert_int_equal(cnn_model_save(saved.path, saved.plan, &(cnn_model_info){"{}", odd, 2}), CNN_OK);
  assert_int_equal(cnn_model_load(saved.path, &model), CNN_OK);
  assert_string_equal(cnn_model_class(model, 0), "caf\xEF\xBF\xBD");
  assert_string_equal(cnn_model_class(model, 1), "x\ny");
  assert_null(cnn_model_class(model, 2));
  cnn_model_free(model);
  done(saved);
}

static void test_saving_what_cannot_be(void **state) {
  (void)state;
  struct saved saved = save_one();
  size_t count;
  char *before = get_bytes(saved.path, &count);
  const char *const names[] = {"a", NULL, "c", "d"};
  const struct {
    cnn_model_info info;
    const char *why;
  } cases[] = {
      {{"", NULL, 0}, "settings: not valid JSON"},
      {{"[1]", NULL, 0}, "settings: not a JSON object"},
      {{"{\"a\":1,\"a\":2}", NULL, 0}, "settings: not valid JSON"},
      {{NULL, names, 4}, "4 names of classes, but the network has 3 outputs"},
      {{NULL, names, 3}, "the name of class 1 is NULL"},
      {{NULL, names, -1}, "class_count of -1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(cnn_model_save(saved.path, saved.plan, &cases[i].info), CNN_E_ARGUMENT);
    assert_why(cases[i].why);
  }
  assert_int_equal(cnn_model_save(NULL, saved.plan, NULL), CNN_E_ARGUMENT);
  assert_int_equal(cnn_model_save(saved.path, NULL, NULL), CNN_E_ARGUMENT);
  float bias[3] = {0, 1, NAN};
  assert_int_equal(cnn_plan_set_weight(saved.plan, "affine1.bias", bias, 3), CNN_OK);
  assert_int_equal(cnn_model_save(saved.path, saved.plan, NULL), CNN_E_NUMERIC);
  assert_why("'affine1.bias' holds nan at element 2");
  cnn_net *net = new_net("input shape=1x2x2\nbatchnorm\naffine units=2\n");
  cnn_plan *plan = new_plan(net, 1);
  assert_int_equal(cnn_plan_set_weight(plan, "batchnorm1.running_var", &(float){-1}, 1), CNN_OK);
  assert_int_equal(cnn_model_save(saved.path, plan, NULL), CNN_E_NUMERIC);
  assert_why("no variance is below 0");
  cnn_plan_free(plan);
  cnn_net_free(net);

  size_t after;
  char *bytes = get_bytes(saved.path, &after);
  assert_int_equal(after, count);
  assert_memory_equal(bytes, before, count);
  free(bytes);
  free(before);
  cnn_plan_free(saved.plan);
  cnn_net_free(saved.net);
  assert_int_equal(scratch_clear(), 1);
}

static cnn_status fill(void *context, const struct safetensor *tensor, int64_t count, float *values) {
  (void)tensor;
  for (int64_t i = 0; i < count; i++) values[i] = *(const float *)context;
  return CNN_OK;
}

/* Write a file like a model's, then load it: it must be refused, for this reason. */
static void refuse(const struct safetensors_note *notes, const struct safetensor *tensors, int count,
                   float value, cnn_status expected, const char *why) {
  int note_count = 0;
  while (notes[note_count].key) note_count++;
  const char *path = in_scratch("odd");
  assert_int_equal(safetensors_write(path, notes, note_count, tensors, count, fill, &value), CNN_OK);
  cnn_model *model = NULL;
  cnn_status status = cnn_model_load(path, &model);
  if (status != expected) fail_msg("%s instead of: %s", cnn_status_name(status), why);
  assert_null(model);
  assert_why(why);
  assert_int_equal(strncmp(cnn_why(), path, strlen(path)), 0);
}

#define KIND \
  {"format", "cnn"}, { "cnn_version", "1" }
#define NOTES(...) ((const struct safetensors_note[]){__VA_ARGS__, {NULL, NULL}})

static const struct safetensor right[] = {{.name = "conv1.weight", .dims = 4, .dim = {2, 1, 3, 3}},
                                          {.name = "conv1.bias", .dims = 1, .dim = {2}},
                                          {.name = "affine1.weight", .dims = 2, .dim = {3, 8}},
                                          {.name = "affine1.bias", .dims = 1, .dim = {3}},
                                          {.name = "affine2.bias", .dims = 1, .dim = {3}}};

static void test_wrong_metadata(void **state) {
  (void)state;
  const char *foreign = "not a model of cnn";
  refuse(NOTES({"format", "pt"}), right, 4, 1, CNN_E_FORMAT, foreign);
  refuse(NOTES({"format", "cnn"}), right, 4, 1, CNN_E_FORMAT, foreign);
  refuse(NOTES({"cnn_version", "1"}), right, 4, 1, CNN_E_FORMAT, foreign);
  refuse(NOTES({"format", "cnn"}, {"cnn_version", "2"}), right, 4, 1, CNN_E_UNSUPPORTED, "version '2'");
  refuse(NOTES(KIND), right, 4, 1, CNN_E_FORMAT, "no \"net\"");
  refuse(NOTES(KIND, {"net", net_text}, {"settings", "{"}), right, 4, 1, CNN_E_FORMAT, "settings: not valid");
  refuse(NOTES(KIND, {"net", net_text}, {"settings", "1"}), right, 4, 1, CNN_E_FORMAT, "settings: ");
  refuse(NOTES(KIND, {"net", net_text}, {"classes", "["}), right, 4, 1, CNN_E_FORMAT, "classes: not valid");
  refuse(NOTES(KIND, {"net", net_text}, {"classes", "{}"}), right, 4, 1, CNN_E_FORMAT, "not a JSON array");
  refuse(NOTES(KIND, {"net", net_text}, {"classes", "[1]"}), right, 4, 1, CNN_E_FORMAT, "class 0 is not a");
  refuse(NOTES(KIND, {"net", net_text}, {"classes", "[[\"a\"]]"}), right, 4, 1, CNN_E_FORMAT,
         "nested deeper");
  refuse(NOTES(KIND, {"net", net_text}, {"classes", "[\"a\",\"b\",\"c\",\"d\"]"}), right, 4, 1, CNN_E_FORMAT,
         "4 names of classes");

  cnn_model *model = NULL;
  float value = 1;
  const char *wrong = "input shape=1x6x6\nfilter\n";
  assert_int_equal(
      safetensors_write(in_scratch("odd"), NOTES(KIND, {"net", wrong}), 3, right, 4, fill, &value), CNN_OK);
  assert_int_not_equal(cnn_model_load(in_scratch("odd"), &model), CNN_OK);
  assert_why("odd: net:2");
  assert_int_equal(cnn_model_load(in_scratch("none"), &model), CNN_E_IO);
  assert_why(strerror(ENOENT));
  assert_int_equal(cnn_model_load(NULL, &model), CNN_E_ARGUMENT);
  assert_int_equal(cnn_model_load(in_scratch("odd"), NULL), CNN_E_ARGUMENT);
  assert_null(model);
  scratch_clear();
}

static void test_wrong_tensors(void **state) {
  (void)state;
  const struct safetensors_note *notes = NOTES(KIND, {"net", net_text});
  struct safetensor odd[5];
  refuse(notes, right, 3, 1, CNN_E_FORMAT, "'affine1.bias', but the file has no tensor");
  refuse(notes, right, 5, 1, CNN_E_FORMAT,
         "the file has a tensor 'affine2.bias', but the network has no weight of that name; the nearest "
         "there is "
         "'affine1.bias'");
  memcpy(odd, right, sizeof odd);
  odd[0].name = "conv.weight";
  refuse(
      notes, odd, 4, 1, CNN_E_FORMAT,
      "a weight 'conv1.weight', but the file has no tensor of that name; the nearest there is 'conv.weight'");
  memcpy(odd, right, sizeof odd);
  odd[2].dim[1] = 9;
  refuse(notes, odd, 4, 1, CNN_E_SHAPE,
         "'affine1.weight' has shape [3,9], but the network's weight has [3,8]");
  odd[2] = (struct safetensor){.name = "affine1.weight", .dims = 1, .dim = {24}};
  refuse(notes, odd, 4, 1, CNN_E_SHAPE, "has shape [24], but");
  refuse(notes, right, 4, INFINITY, CNN_E_FORMAT, "'conv1.weight' holds inf at element 0");
  refuse(notes, right, 4, NAN, CNN_E_FORMAT, "'conv1.weight' holds nan at element 0");
  refuse(notes, NULL, 0, 1, CNN_E_FORMAT, "the file has no tensor of that name");
  scratch_clear();
}

static void test_a_type_that_is_not_read(void **state) {
  (void)state;
  struct saved saved = save_one();
  size_t count;
  char *bytes = get_bytes(saved.path, &count);
  for (char *at = bytes; (at = memmem(at, count - (size_t)(at - bytes), "F32", 3));) memcpy(at, "I32", 3);
  put_bytes(saved.path, bytes, count);
  cnn_model *model = NULL;
  assert_int_equal(cnn_model_load(saved.path, &model), CNN_E_UNSUPPORTED);
  assert_why("'conv1.weight' is of type I32");
  free(bytes);
  done(saved);
}

static void test_apply_elsewhere(void **state) {
  (void)state;
  struct saved saved = save_one();
  cnn_model *model = NULL;
  assert_int_equal(cnn_model_load(saved.path, &model), CNN_OK);
  static const struct {
    const char *net, *why;
  } cases[] = {
      {"input shape=1x6x6\nconv name=conv1 filters=2 kernel=3\nmaxpool kernel=2 stride=2\naffine units=4\n",
       "'affine1.weight' of the plan's network has shape [4,8], the model's [3,8]"},
      {"input shape=1x6x6\nconv name=other filters=2 kernel=3\nmaxpool kernel=2 stride=2\naffine units=3\n",
       "the model's network has none of that name"},
      {"input shape=1x6x6\nconv name=conv1 filters=2 kernel=3\n", "has 2 weights, the model's has 4"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cnn_net *net = new_net(cases[i].net);
    cnn_plan *plan = new_plan(net, 1);
    set_all(plan, 42);
    assert_int_equal(cnn_model_apply(model, plan), CNN_E_SHAPE);
    assert_why(cases[i].why);
    cnn_weight_info weight;
    float values[MOST];
    assert_int_equal(cnn_net_weight(net, 0, &weight), CNN_OK);
    assert_int_equal(cnn_plan_get_weight(plan, weight.name, values, weight.count), CNN_OK);
    for (int k = 0; k < weight.count; k++) assert_true(values[k] == 42);
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
  assert_int_equal(cnn_model_apply(model, NULL), CNN_E_ARGUMENT);
  assert_int_equal(cnn_model_apply(NULL, saved.plan), CNN_E_ARGUMENT);
  cnn_model_free(model);
  done(saved);
}

/* A text that the net gave stays where it is when a plan of it is saved. */
static void test_saving_leaves_the_net(void **state) {
  (void)state;
  cnn_net *net = new_net("input shape=1x2x2\naffine units=2\n");
  cnn_plan *plan = new_plan(net, 1);
  struct saved saved = save_one();
  const char *text = cnn_net_text(net);
  assert_int_equal(cnn_model_save(saved.path, plan, NULL), CNN_OK);
  assert_string_equal(text, "input shape=1x2x2\naffine units=2\n"); /* freed, where ASan looks */
  cnn_plan_free(plan);
  cnn_net_free(net);
  done(saved);
}

/* What would be too long to be loaded again is not saved. */
static void test_a_network_too_long_to_load(void **state) {
  (void)state;
  char words[1024];
  cnn_net *net = new_net("input shape=1x1x1\nrelu name=a\n"), *again = NULL;
  for (int i = 0; i < 2000; i++) {
    int length = snprintf(words, sizeof words, "name=%063d from=", i);
    for (int k = 0; k < 8; k++)
      length += i ? snprintf(words + length, sizeof words - (size_t)length, "%s%063d", k ? "," : "", i - 1)
                  : snprintf(words + length, sizeof words - (size_t)length, "%sa", k ? "," : "");
    assert_int_equal(cnn_net_add(net, "add", words), CNN_OK);
  }
  cnn_plan *plan = new_plan(net, 1);
  struct saved saved = save_one();
  size_t before, after;
  char *old = get_bytes(saved.path, &before);
  assert_int_equal(cnn_net_parse(cnn_net_text(net), "t", &again), CNN_E_FORMAT);
  assert_int_equal(cnn_model_save(saved.path, plan, NULL), CNN_E_ARGUMENT);
  assert_why("longer than 1048576 bytes");
  char *now = get_bytes(saved.path, &after);
  assert_int_equal(before, after);
  assert_memory_equal(old, now, before);
  free(old);
  free(now);
  cnn_plan_free(plan);
  cnn_net_free(net);
  done(saved);
}

/* The same shapes of weights, but other channels: the normalisation does not fit, and what there is stays. */
static void test_apply_to_other_channels(void **state) {
  (void)state;
  static const char *const how[] = {"channel", "mean-image"};
  cnn_net *one = new_net("input shape=1x2x2\nconv filters=4 kernel=1\naffine units=2\n"),
          *four = new_net("input shape=4x2x2\nconv filters=4 kernel=1 groups=4\naffine units=2\n");
  cnn_plan *grey = new_plan(one, 1), *plan = new_plan(four, 1);
  cnn_dataset *grey_data, *data;
  assert_int_equal(cnn_dataset_random((cnn_shape){10, 1, 2, 2}, 2, 2, 1, &grey_data), CNN_OK);
  assert_int_equal(cnn_dataset_random((cnn_shape){10, 4, 2, 2}, 2, 2, 1, &data), CNN_OK);
  assert_int_equal(cnn_plan_normalize(plan, data, 0, "channel"), CNN_OK);
  struct saved saved = save_one();
  float x[16], before[2], after[2];
  for (int i = 0; i < 16; i++) x[i] = (float)i / 16;
  cnn_tensor image = {x, {1, 4, 2, 2}};
  assert_int_equal(cnn_plan_forward(plan, image, (cnn_tensor){before, {1, 2, 1, 1}}), CNN_OK);
  for (int i = 0; i < 2; i++) {
    cnn_model *model = NULL;
    assert_int_equal(cnn_plan_normalize(grey, grey_data, 0, how[i]), CNN_OK);
    assert_int_equal(cnn_model_save(saved.path, grey, NULL), CNN_OK);
    assert_int_equal(cnn_model_load(saved.path, &model), CNN_OK);
    assert_int_equal(cnn_model_apply(model, plan), CNN_E_SHAPE);
    assert_why("the plan's network takes 4x2x2");
    assert_int_equal(cnn_plan_forward(plan, image, (cnn_tensor){after, {1, 2, 1, 1}}), CNN_OK);
    assert_memory_equal(before, after, sizeof before);
    cnn_model_free(model);
  }
  cnn_dataset_free(grey_data);
  cnn_dataset_free(data);
  cnn_plan_free(grey);
  cnn_plan_free(plan);
  cnn_net_free(one);
  cnn_net_free(four);
  done(saved);
}

/* ---- Damage ---- */

static void test_every_truncation(void **state) {
  (void)state;
  struct saved saved = save_one();
  size_t count;
  char *bytes = get_bytes(saved.path, &count);
  for (size_t length = 0; length < count; length++) {
    cnn_model *model = NULL;
    put_bytes(saved.path, bytes, length);
    assert_int_equal(cnn_model_load(saved.path, &model), CNN_E_FORMAT);
    assert_null(model);
    assert_why(saved.path);
  }
  free(bytes);
  done(saved);
}

static uint32_t random_state = 12345;

static uint32_t random_number(void) { /* Marsaglia's xorshift */
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

/* What a loaded file is good for, whatever was in it. */
static void assert_sane(const cnn_model *model) {
  const cnn_net *net = cnn_model_net(model);
  assert_int_equal(cnn_net_check(net), CNN_OK);
  assert_true(cnn_net_layer_count(net) > 0);
  assert_int_equal(cnn_net_weight_count(net), WEIGHTS);
  json_t *settings = json_loads(cnn_model_settings(model), 0, NULL);
  assert_true(json_is_object(settings));
  json_decref(settings);
  for (int i = 0; cnn_model_class(model, i); i++) assert_true(i < 3);
  cnn_plan *plan = new_plan(net, 1);
  assert_int_equal(cnn_model_apply(model, plan), CNN_OK);
  for (int i = 0; i < WEIGHTS; i++) {
    cnn_weight_info weight;
    float values[MOST];
    assert_int_equal(cnn_net_weight(net, i, &weight), CNN_OK);
    assert_true(weight.count <= MOST);
    assert_int_equal(cnn_plan_get_weight(plan, weight.name, values, weight.count), CNN_OK);
    for (int k = 0; k < weight.count; k++) assert_true(isfinite(values[k]));
  }
  cnn_plan_free(plan);
}

static void test_random_changes(void **state) {
  (void)state;
  struct saved saved = save_one();
  size_t count;
  char *bytes = get_bytes(saved.path, &count), *changed = malloc(count);
  assert_non_null(changed);
  int loaded = 0, refused = 0;
  for (int trial = 0; trial < 10000; trial++) {
    memcpy(changed, bytes, count);
    for (uint32_t changes = 1 + random_number() % 3; changes > 0; changes--)
      changed[random_number() % count] = (char)random_number();
    put_bytes(saved.path, changed, count);
    cnn_model *model = NULL;
    if (cnn_model_load(saved.path, &model) == CNN_OK) {
      loaded++;
      assert_sane(model);
      cnn_model_free(model);
    } else {
      refused++;
      assert_null(model);
      assert_why(saved.path);
    }
  }
  assert_true(loaded > 100 && refused > 1000); /* weights may be any finite number, most bytes are text */
  free(changed);
  free(bytes);
  done(saved);
}

/* ---- Memory and disk ---- */

static void test_memory_out(void **state) {
  (void)state;
  struct saved saved = save_one();
  size_t count, after;
  char *old = get_bytes(saved.path, &count);
  set_all(saved.plan, 0.5F);
  cnn_status status = CNN_E_MEMORY;
  for (long n = 0; status != CNN_OK; n++) {
    assert_int_equal(status, CNN_E_MEMORY);
    char *bytes = get_bytes(saved.path, &after);
    assert_int_equal(after, count);
    assert_memory_equal(bytes, old, count);
    free(bytes);
    mem_fail_after(n);
    status = cnn_model_save(saved.path, saved.plan, &full_info);
    mem_fail_after(-1);
  }
  cnn_model *model = NULL;
  status = CNN_E_MEMORY;
  for (long n = 0; status != CNN_OK; n++) {
    assert_int_equal(status, CNN_E_MEMORY);
    assert_null(model);
    mem_fail_after(n);
    status = cnn_model_load(saved.path, &model);
    mem_fail_after(-1);
  }
  assert_sane(model);
  cnn_model_free(model);

  /* a hint that finds no memory is left out of the sentence, which stays */
  float value = 1;
  const struct safetensors_note *notes = NOTES(KIND, {"net", net_text});
  assert_int_equal(safetensors_write(saved.path, notes, 3, right, 5, fill, &value), CNN_OK);
  bool hint = false;
  for (long n = 0; !hint; n++) {
    mem_fail_after(n);
    status = cnn_model_load(saved.path, &model);
    mem_fail_after(-1);
    if (status != CNN_E_MEMORY) assert_int_equal(status, CNN_E_FORMAT);
    hint = status == CNN_E_FORMAT && strstr(cnn_why(), "the nearest there is");
  }
  free(old);
  cnn_plan_free(saved.plan);
  cnn_net_free(saved.net);
  assert_int_equal(scratch_clear(), 1);
}

static void test_disk_full(void **state) {
  (void)state;
  struct saved saved = save_one();
  assert_int_equal(cnn_model_save("/dev/full", saved.plan, NULL), CNN_E_IO);
  assert_why("cannot write '/dev/full'");
  assert_why(strerror(ENOSPC));

  size_t count;
  char *old = get_bytes(saved.path, &count);
  set_all(saved.plan, 0.5F);
  struct rlimit before, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  for (rlim_t limit = 0; limit < count; limit += 16) {
    small = before;
    small.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    cnn_status status = cnn_model_save(saved.path, saved.plan, &full_info);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, CNN_E_IO);
    assert_why(saved.path);
    assert_why("unchanged");
    size_t after;
    char *bytes = get_bytes(saved.path, &after);
    assert_int_equal(after, count);
    assert_memory_equal(bytes, old, count);
    free(bytes);
  }
  signal(SIGXFSZ, handler);
  free(old);
  cnn_plan_free(saved.plan);
  cnn_net_free(saved.net);
  assert_int_equal(scratch_clear(), 1);
}

/* Save models over and over, all weights of one being the number that its settings name. */
static void save_for_ever(struct saved saved) {
  char settings[32];
  for (int k = 0;; k++) {
    set_all(saved.plan, (float)(k % 1000));
    snprintf(settings, sizeof settings, "{\"k\":%d}", k % 1000);
    if (cnn_model_save(saved.path, saved.plan, &(cnn_model_info){settings, NULL, 0}) != CNN_OK) _exit(1);
  }
}

static void test_killed_while_saving(void **state) {
  (void)state;
  struct saved saved = save_one();
  set_all(saved.plan, 0);
  assert_int_equal(cnn_model_save(saved.path, saved.plan, &(cnn_model_info){"{\"k\":0}", NULL, 0}), CNN_OK);
  for (int round = 0; round < 40; round++) {
    pid_t child = fork();
    if (child == 0) save_for_ever(saved);
    struct timespec wait = {0, random_number() % 20000000};
    nanosleep(&wait, NULL);
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));

    cnn_model *model = NULL;
    ok(cnn_model_load(saved.path, &model));
    assert_int_equal(strncmp(cnn_model_settings(model), "{\"k\":", 5), 0);
    long k = strtol(cnn_model_settings(model) + 5, NULL, 10);
    cnn_plan *plan = new_plan(cnn_model_net(model), 1);
    assert_int_equal(cnn_model_apply(model, plan), CNN_OK);
    set_all(saved.plan, (float)k);
    assert_same_weights(plan, saved.plan);
    cnn_plan_free(plan);
    cnn_model_free(model);
  }
  done(saved);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_round_trip),
      cmocka_unit_test(test_another_reader),
      cmocka_unit_test(test_what_may_be_left_out),
      cmocka_unit_test(test_saving_what_cannot_be),
      cmocka_unit_test(test_wrong_metadata),
      cmocka_unit_test(test_wrong_tensors),
      cmocka_unit_test(test_a_type_that_is_not_read),
      cmocka_unit_test(test_apply_elsewhere),
      cmocka_unit_test(test_saving_leaves_the_net),
      cmocka_unit_test(test_a_network_too_long_to_load),
      cmocka_unit_test(test_apply_to_other_channels),
      cmocka_unit_test(test_every_truncation),
      cmocka_unit_test(test_random_changes),
      cmocka_unit_test(test_memory_out),
      cmocka_unit_test(test_disk_full),
      cmocka_unit_test(test_killed_while_saving),
  };
  return cmocka_run_group_tests_name("model", tests, scratch_make, scratch_remove);
}
