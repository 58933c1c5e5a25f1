/* Networks: as calls, as text, as files; every mistake a hand can make in one, and what a stranger's file can
 * hold. */
#include <inttypes.h>

#include "io_scratch.h"

#include "core/memory.h"
#include "core/rng.h"
#include "net/net.h"

static cnn_net *parse(const char *text) {
  cnn_net *net;
  ok(cnn_net_parse(text, "t", &net));
  return net;
}

/* ---- what is right ---- */

static void work_of_a_net(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  int64_t conv = 30 * 24 * 24 * 25, hidden = 4320 * 100,
          out = 100 * 10; /* the lowest has no gradient below */
  assert_int_equal(cnn_net_multiply_adds(net, CNN_INFER), conv + hidden + out);
  assert_int_equal(cnn_net_multiply_adds(net, CNN_TRAIN), 2 * conv + 3 * (hidden + out));
  cnn_net_free(net);
}

static void built_in_nets(void **state) {
  (void)state;
  int count = 0;
  for (const char *name; (name = cnn_net_builtin(count)); count++) {
    cnn_net *net, *again;
    assert_int_equal(cnn_net_load(name, &net), CNN_OK);
    assert_int_equal(cnn_net_check(net), CNN_OK);
    char *text = strdup(cnn_net_text(net));
    assert_non_null(text);
    again = parse(text);
    assert_string_equal(cnn_net_text(again), text);
    assert_int_equal(cnn_net_layer_count(again), cnn_net_layer_count(net));
    for (int i = 0; i < cnn_net_layer_count(net); i++) {
      cnn_layer_info a, b;
      assert_int_equal(cnn_net_layer(net, i, &a), CNN_OK);
      assert_int_equal(cnn_net_layer(again, i, &b), CNN_OK);
      assert_string_equal(a.name, b.name);
      assert_string_equal(a.kind, b.kind);
      assert_memory_equal(&a.out, &b.out, sizeof a.out);
      assert_int_equal(a.parameters, b.parameters);
      assert_int_equal(a.multiply_adds, b.multiply_adds);
    }
    free(text);
    cnn_net_free(net);
    cnn_net_free(again);
  }
  assert_true(count >= 2);
  assert_null(cnn_net_builtin(-1));
  assert_null(cnn_net_builtin(count + 100));
}

/* As their authors count them: see the head of each file. */
static void built_in_sizes(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t parameters, multiply_adds;
  } nets[] = {{"simple-conv-net", 433890, 865000},
              {"mlp5", 109810, 109400},
              {"lenet5", 61706, 416520},
              {"lenet5-1998", 60850, 328096},
              {"lenet", 431080, 2293000},
              {"mobile", 136778, 16525824},
              {"deep-conv-net", 123552, 8772340},
              {"alexnet", 60965224, 724406816},
              {"alexnet-torchvision", 61100840, 714188480},
              {"resnet20", 272474, 40813184},
              {"mnist-fast", 24250, 415360},
              {"mnist-record", 289642, 9983232},
              {"fashion", 298410, 15025536}};
  enum { NETS = sizeof nets / sizeof *nets };
  int count = 0;
  while (cnn_net_builtin(count)) count++;
  assert_int_equal(count, NETS);
  for (int i = 0; i < NETS; i++) {
    cnn_net *net;
    assert_int_equal(cnn_net_load(nets[i].name, &net), CNN_OK);
    int64_t parameters = 0, multiply_adds = 0;
    for (int k = 0; k < cnn_net_layer_count(net); k++) {
      cnn_layer_info info;
      assert_int_equal(cnn_net_layer(net, k, &info), CNN_OK);
      parameters += info.parameters;
      multiply_adds += info.multiply_adds;
    }
    assert_int_equal(parameters, nets[i].parameters);
    assert_int_equal(multiply_adds, nets[i].multiply_adds);
    cnn_net_free(net);
  }
}

static void calls_and_text_agree(void **state) {
  (void)state;
  cnn_net *net = cnn_net_new();
  assert_int_equal(cnn_net_add(net, "input", "shape=3x8x10"), CNN_OK);
  assert_int_equal(cnn_net_add(net, "conv", "  kernel=3x5\tfilters=4 name=first\n pad=1x2 bias=no "), CNN_OK);
  assert_int_equal(cnn_net_add(net, "relu", NULL), CNN_OK);
  assert_int_equal(cnn_net_add(net, "affine", "units=5 init=normal:0.25"), CNN_OK);
  assert_int_equal(cnn_net_check(net), CNN_OK);
  assert_string_equal(cnn_net_text(net),
                      "input shape=3x8x10\n"
                      "conv name=first filters=4 kernel=3x5 pad=1x2 bias=no\n"
                      "relu\n"
                      "affine units=5 init=normal:0.25\n");
  cnn_shape in = {1, 3, 8, 10}, out = {1, 5, 1, 1}, got = cnn_net_input(net);
  assert_memory_equal(&got, &in, sizeof in);
  got = cnn_net_output(net);
  assert_memory_equal(&got, &out, sizeof out);
  cnn_layer_info info;
  assert_int_equal(cnn_net_layer(net, 1, &info), CNN_OK);
  assert_string_equal(info.name, "first");
  assert_int_equal(info.parameters, 4 * 3 * 15);
  assert_int_equal(info.multiply_adds, 4 * 8 * 10 * 3 * 15);
  assert_int_equal(info.line, 0);
  assert_int_equal(cnn_net_layer(net, 3, &info), CNN_OK);
  assert_string_equal(info.name, "affine1");
  assert_int_equal(cnn_net_layer(net, 4, &info), CNN_E_ARGUMENT);
  assert_int_equal(cnn_net_layer(net, -1, &info), CNN_E_ARGUMENT);
  cnn_net_free(net);
}

static void weights(void **state) {
  (void)state;
  cnn_net *net =
      parse("input shape=4x6x6\nconv filters=6 kernel=3x2 groups=2\nrelu\naffine units=3 bias=no name=out\n");
  static const struct {
    const char *name;
    int dims;
    int64_t dim[4], count;
  } expected[] = {
      {"conv1.weight", 4, {6, 2, 3, 2}, 72}, {"conv1.bias", 1, {6}, 6}, {"out.weight", 2, {3, 120}, 360}};
  assert_int_equal(cnn_net_weight_count(net), 3);
  for (int i = 0; i < 3; i++) {
    cnn_weight_info info;
    assert_int_equal(cnn_net_weight(net, i, &info), CNN_OK);
    assert_string_equal(info.name, expected[i].name);
    assert_int_equal(info.dims, expected[i].dims);
    assert_int_equal(info.count, expected[i].count);
    for (int d = 0; d < info.dims; d++) assert_int_equal(info.dim[d], expected[i].dim[d]);
    int index = -1;
    assert_int_equal(net_find_weight(net, info.name, &index), CNN_OK);
    assert_int_equal(index, i);
  }
  cnn_weight_info info;
  int index;
  assert_int_equal(cnn_net_weight(net, 3, &info), CNN_E_ARGUMENT);
  assert_int_equal(cnn_net_weight(net, -1, &info), CNN_E_ARGUMENT);
  assert_int_equal(net_find_weight(net, "conv1.wieght", &index), CNN_E_KEY);
  assert_string_equal(cnn_why(), "unknown weight 'conv1.wieght'; did you mean 'conv1.weight'?");
  assert_int_equal(net_find_weight(net, "", &index), CNN_E_KEY);
  assert_string_equal(cnn_why(), "unknown weight ''; this network has 3");
  cnn_net_free(net);
}

static void forms_of_text(void **state) {
  (void)state;
  static const char *const same[] = {
      "input shape=1x4x4\nrelu\naffine units=2\n",
      "input shape=1x4x4\nrelu\naffine units=2",             /* no newline at the end */
      "input shape=1x4x4\r\nrelu\r\naffine units=2\r\n",     /* lines of other systems */
      "\r\n\r\ninput shape=1x4x4\r\nrelu\r\naffine units=2", /* and with both */
      "# a net\n\n  input\tshape=1x4x4 # one image\n \t \nrelu#\n####\naffine units=2 # units=3\n#",
      "\xef\xbb\xbfinput shape=1x4x4\nrelu\naffine units=2\n", /* a byte order mark */
      "\n\n\n   input   shape=1x4x4   \n\trelu\t\n   affine\t\t units=2"};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
    cnn_net *net = parse(same[i]);
    assert_string_equal(cnn_net_text(net), same[0]);
    cnn_net_free(net);
  }
  cnn_net *net = parse(same[4]);
  static const int lines[] = {3, 5, 7};
  for (int i = 0; i < 3; i++) {
    cnn_layer_info info;
    assert_int_equal(cnn_net_layer(net, i, &info), CNN_OK);
    assert_int_equal(info.line, lines[i]);
  }
  cnn_net_free(net);
}

static void layer_classes_are_told(void **state) {
  (void)state;
  int count = cnn_layer_class_count();
  assert_true(count >= 10);
  for (int i = 0; i < count; i++) {
    cnn_layer_class_info info = cnn_layer_class_get(i);
    assert_true(info.name && *info.name && info.summary && *info.summary);
    int index = -1;
    assert_int_equal(cnn_layer_class_find(info.name, &index), CNN_OK);
    assert_int_equal(index, i);
    for (int p = 0; p < info.params; p++) {
      cnn_param_info param = cnn_layer_param(i, p);
      assert_true(param.key && *param.key && param.type && *param.type && param.help && *param.help);
      for (int q = 0; q < p; q++) assert_string_not_equal(cnn_layer_param(i, q).key, param.key);
      assert_string_not_equal(param.key, "name");
    }
    assert_null(cnn_layer_param(i, info.params).key);
    assert_null(cnn_layer_param(i, -1).key);
  }
  assert_null(cnn_layer_class_get(-1).name);
  assert_null(cnn_layer_class_get(count).name);
  assert_null(cnn_layer_param(count, 0).key);
  assert_null(cnn_layer_param(-1, 0).key);
  int index = -7;
  assert_int_equal(cnn_layer_class_find("maxpol", &index), CNN_E_KEY);
  assert_string_equal(cnn_why(), "unknown layer 'maxpol'; did you mean 'maxpool'?");
  assert_int_equal(cnn_layer_class_find("qqqqqq", &index), CNN_E_KEY);
  assert_int_equal(index, -7);
  assert_int_equal(cnn_layer_class_find("conv", &index), CNN_OK);
  cnn_param_info filters = cnn_layer_param(index, 0);
  assert_string_equal(filters.key, "filters");
  assert_string_equal(filters.type, "integer");
  assert_null(filters.standard);
}

/* ---- what is wrong ---- */

static void mistakes(void **state) {
  (void)state;
#define INPUT "input shape=1x12x12\n"
  static const struct {
    const char *text;
    cnn_status status;
    const char *why;
  } cases[] = {
      {"", CNN_E_ARGUMENT, "t: the network has no layers; it needs an input and one layer at least"},
      {"# nothing\n", CNN_E_ARGUMENT,
       "t: the network has no layers; it needs an input and one layer at least"},
      {INPUT, CNN_E_ARGUMENT, "t: the network has only an input; it needs an input and one layer at least"},
      {INPUT "cnov filters=1 kernel=3", CNN_E_KEY, "t:2: unknown layer 'cnov'; did you mean 'conv'?"},
      {INPUT "\n\nabcdefgh", CNN_E_KEY, "t:4: unknown layer 'abcdefgh'; `cnn layers` lists them"},
      {INPUT "Conv filters=1 kernel=3", CNN_E_KEY, "t:2: unknown layer 'Conv'; did you mean 'conv'?"},
      {INPUT "conv filters=1 kernal=3", CNN_E_KEY, "t:2: conv: unknown key 'kernal'; did you mean 'kernel'?"},
      {INPUT "relu x=1", CNN_E_KEY, "t:2: relu: unknown key 'x'; relu knows name, from"},
      {INPUT "conv kernel=3", CNN_E_KEY, "t:2: conv: key 'filters' is missing: output channels (FN)"},
      {"input\n", CNN_E_KEY,
       "t:1: input: key 'shape' is missing: channels, height and width of one image, as in 1x28x28"},
      {INPUT "affine units=3 units=3", CNN_E_KEY, "t:2: affine: key 'units' is given twice"},
      {INPUT "relu name=a name=b", CNN_E_KEY, "t:2: relu: key 'name' is given twice"},
      {INPUT "affine units=0", CNN_E_ARGUMENT,
       "t:2: affine: units=0 is out of range: it must be 1 to 16777216"},
      {INPUT "affine units=-3", CNN_E_ARGUMENT,
       "t:2: affine: units=-3 is out of range: it must be 1 to 16777216"},
      {INPUT "affine units=16777217", CNN_E_ARGUMENT,
       "t:2: affine: units=16777217 is out of range: it must be 1 to 16777216"},
      {INPUT "affine units=99999999999999999999", CNN_E_ARGUMENT,
       "t:2: affine: units=99999999999999999999 is out of range: it must be 1 to 16777216"},
      {INPUT "affine units=3.0", CNN_E_ARGUMENT, "t:2: affine: units=3.0: an integer wanted"},
      {INPUT "affine units=3x4", CNN_E_ARGUMENT, "t:2: affine: units=3x4: an integer wanted"},
      {INPUT "affine units", CNN_E_ARGUMENT,
       "t:2: affine: 'units' is not of the form key=value, without blanks"},
      {INPUT "affine units=", CNN_E_ARGUMENT,
       "t:2: affine: 'units=' is not of the form key=value, without blanks"},
      {INPUT "affine =3", CNN_E_ARGUMENT, "t:2: affine: '=3' is not of the form key=value, without blanks"},
      {INPUT "affine units = 3", CNN_E_ARGUMENT,
       "t:2: affine: 'units' is not of the form key=value, without blanks"},
      {INPUT "affine units=3 bias=maybe", CNN_E_ARGUMENT, "t:2: affine: bias=maybe: yes or no wanted"},
      {INPUT "affine units=3 init=normal", CNN_E_ARGUMENT,
       "t:2: affine: init=normal: normal:STD, xavier, he, zeros or constant:VALUE wanted"},
      {INPUT "affine units=3 init=normal:-1", CNN_E_ARGUMENT,
       "t:2: affine: init=normal:-1: normal:STD, xavier, he, zeros or constant:VALUE wanted"},
      {INPUT "affine units=3 init=normal:nan", CNN_E_ARGUMENT,
       "t:2: affine: init=normal:nan: normal:STD, xavier, he, zeros or constant:VALUE wanted"},
      {INPUT "affine units=3 bias_init=constant", CNN_E_ARGUMENT,
       "t:2: affine: bias_init=constant: normal:STD, xavier, he, zeros or constant:VALUE wanted"},
      {INPUT "lrn beta=x", CNN_E_ARGUMENT, "t:2: lrn: beta=x: a number wanted"},
      {INPUT "lrn beta=nan", CNN_E_ARGUMENT, "t:2: lrn: beta=nan: a number wanted"},
      {INPUT "lrn alpha=-1e-4", CNN_E_ARGUMENT,
       "t:2: lrn: alpha=-1e-4 is out of range: it must be 0 to 1000000"},
      {INPUT "lrn k=0", CNN_E_ARGUMENT, "t:2: lrn: k=0 is too small: it must be at least 1e-6"},
      {INPUT "lrn alpha_of=max", CNN_E_ARGUMENT, "t:2: lrn: alpha_of=max is unknown; it takes mean, sum"},
      {INPUT "dropout rate=1", CNN_E_ARGUMENT,
       "t:2: dropout: rate=1 drops everything: it must be at most 0.9999"},
      {INPUT "maxpool kernel=2 round=up", CNN_E_ARGUMENT,
       "t:2: maxpool: round=up is unknown; it takes error, floor, ceil"},
      {INPUT "maxpool kernel=2x2x2", CNN_E_ARGUMENT, "t:2: maxpool: kernel=2x2x2: an integer or HxW wanted"},
      {INPUT "maxpool kernel=2x", CNN_E_ARGUMENT, "t:2: maxpool: kernel=2x: an integer or HxW wanted"},
      {INPUT "maxpool kernel=2x0", CNN_E_ARGUMENT,
       "t:2: maxpool: kernel=0 is out of range: it must be 1 to 4096"},
      {"input shape=28x28\nrelu", CNN_E_ARGUMENT, "t:1: input: shape=28x28: CxHxW, as in 1x28x28, wanted"},
      {"input shape=1x28x0\nrelu", CNN_E_ARGUMENT,
       "t:1: input: shape=0 is out of range: it must be 1 to 65535"},
      {"input shape=65535x65535x65535\nrelu", CNN_E_SHAPE,
       "t:1: input: its output of 281462092005375 elements an image is too large: at most 2^29"},
      {"relu\n", CNN_E_ARGUMENT, "t:1: relu: the first brick must be `input shape=CxHxW`"},
      {INPUT INPUT, CNN_E_ARGUMENT, "t:2: input: a network has one input, as its first brick"},
      {INPUT "relu name=a\nrelu name=a", CNN_E_KEY,
       "t:3: relu: name 'a' is taken by an earlier brick; choose another with name="},
      {INPUT "relu name=tanh1\ntanh", CNN_E_KEY,
       "t:3: tanh: name 'tanh1' is taken by an earlier brick; choose another with name="},
      {INPUT "relu name=a.b", CNN_E_ARGUMENT, "t:2: relu: name=a.b: letters, digits, '_' and '-' wanted"},
      {INPUT "relu name=gr\xc3\xbcn", CNN_E_ARGUMENT,
       "t:2: relu: name=gr\xc3\xbcn: letters, digits, '_' and '-' wanted"},
      {INPUT "relu name=0123456789012345678901234567890123456789012345678901234567890123", CNN_E_ARGUMENT,
       "t:2: relu: name=01234567890123456789... is longer than 63 characters"},
      {INPUT "maxpool kernel=3 stride=2", CNN_E_SHAPE,
       "t:2: maxpool: kernel 3 stride 2 does not fit 12x12: (12 - 3) / 2 is not whole; set round=floor, "
       "round=ceil or pad"},
      {INPUT "conv filters=2 kernel=3x4 stride=1x3 pad=0x1", CNN_E_SHAPE,
       "t:2: conv: kernel 4 stride 3 pad 1 does not fit 12x12: (12 + 2*1 - 4) / 3 is not whole; set "
       "round=floor, round=ceil or pad"},
      {INPUT "conv filters=2 kernel=7 dilation=3", CNN_E_SHAPE,
       "t:2: conv: kernel 7 stride 1 dilation 3 does not fit 12x12: 12 - 19 is negative; make kernel smaller "
       "or pad larger"},
      {INPUT "conv filters=2 kernel=3 groups=2", CNN_E_SHAPE,
       "t:2: conv: groups=2 does not divide the 1 input channels"},
      {"input shape=1x128x128\nconv filters=1 kernel=128 pad=127", CNN_E_SHAPE,
       "t:2: conv: filters of 128x128 with pad=127x127 meet 1x128x128 in too many ways: 268435456 taps, at "
       "most "
       "67108864; make filters or padding smaller"},
      {INPUT "maxpool kernel=2 pad=2", CNN_E_SHAPE,
       "t:2: maxpool: pad 2 leaves windows of kernel 2 empty; make it smaller than the kernel"},
      {INPUT "\x01\x02\x1b[31m", CNN_E_KEY, "t:2: unknown layer '???[31m'; `cnn layers` lists them"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cnn_net *net = (cnn_net *)&cases; /* stays as it was */
    cnn_status status = cnn_net_parse(cases[i].text, "t", &net);
    if (status != cases[i].status || strcmp(cnn_why(), cases[i].why))
      fail_msg("'%s': %s, %s", cases[i].text, cnn_status_name(status), cnn_why());
    assert_ptr_equal(net, &cases);
  }
#undef INPUT
}

static void sentence_of_the_manual(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_parse("# a network of 1998, mistyped\n"
                                 "input shape=1x28x28\n"
                                 "conv filters=6 kernel=5\n"
                                 "maxpool kernel=2 stride=2\n"
                                 "relu\n"
                                 "\n"
                                 "maxpool kernel=3 stride=2\n",
                                 "lenet.net", &net),
                   CNN_E_SHAPE);
  assert_string_equal(
      cnn_why(),
      "lenet.net:7: maxpool: kernel 3 stride 2 does not fit 12x12: (12 - 3) / 2 is not whole; set "
      "round=floor, round=ceil or pad");
}

static void first_failure_sticks(void **state) {
  (void)state;
  cnn_net *net = cnn_net_new();
  assert_int_equal(cnn_net_check(net), CNN_E_ARGUMENT);
  assert_int_equal(cnn_net_add(net, "input", "shape=1x4x4"), CNN_OK);
  assert_int_equal(cnn_net_add(net, "conv", "filters=2 kernel=9"), CNN_E_SHAPE);
  char first[1024];
  snprintf(first, sizeof first, "%s", cnn_why());
  assert_string_equal(
      first,
      "conv: kernel 9 stride 1 does not fit 4x4: 4 - 9 is negative; make kernel smaller or pad larger");
  assert_int_equal(cnn_net_add(net, "nonsense", ""), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), first);
  (void)CNN_FAIL(CNN_E_IO, "something else in between");
  assert_int_equal(cnn_net_add(net, "relu", ""), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), first);
  (void)CNN_FAIL(CNN_E_IO, "something else in between");
  assert_int_equal(cnn_net_check(net), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), first);
  assert_int_equal(cnn_net_layer_count(net), 1);
  cnn_plan *plan;
  assert_int_equal(cnn_plan_new(net, NULL, &plan), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), first);
  cnn_net_free(net);
  assert_int_equal(cnn_net_add(NULL, "relu", ""), CNN_E_ARGUMENT);
  assert_int_equal(cnn_net_check(NULL), CNN_E_ARGUMENT);
  cnn_net_free(NULL);
  net = cnn_net_new();
  assert_int_equal(cnn_net_add(net, NULL, ""), CNN_E_ARGUMENT);
  cnn_net_free(net);
}

/* ---- files ---- */

static void files(void **state) {
  (void)state;
  char path[600];
  snprintf(path, sizeof path, "%s", in_scratch("small.net"));
  cnn_net *net = NULL;
  const char good[] = "input shape=1x4x4\naffine units=2";
  put_bytes(path, good, strlen(good));
  assert_int_equal(cnn_net_load(path, &net), CNN_OK);
  assert_int_equal(cnn_net_layer_count(net), 2);
  cnn_net_free(net);
  net = NULL;

  char expected[700];
  const char *missing = in_scratch("none.net");
  assert_int_equal(cnn_net_load(missing, &net), CNN_E_IO);
  snprintf(expected, sizeof expected, "%s: No such file or directory", missing);
  assert_string_equal(cnn_why(), expected);
  assert_int_equal(cnn_net_load(scratch, &net), CNN_E_IO);
  snprintf(expected, sizeof expected, "%s: Is a directory", scratch);
  assert_string_equal(cnn_why(), expected);

  put_bytes(path, good, strlen(good) + 1); /* one NUL */
  assert_int_equal(cnn_net_load(path, &net), CNN_E_FORMAT);
  snprintf(expected, sizeof expected, "%s: not a network: it holds bytes that are no text", path);
  assert_string_equal(cnn_why(), expected);
  put_bytes(path, "input shape=1x4x4\nrelo", 22);
  assert_int_equal(cnn_net_load(path, &net), CNN_E_KEY);
  snprintf(expected, sizeof expected, "%s:2: unknown layer 'relo'; did you mean 'relu'?", path);
  assert_string_equal(cnn_why(), expected);
  put_bytes(path, "", 0);
  assert_int_equal(cnn_net_load(path, &net), CNN_E_ARGUMENT);
  put_bytes(path, "\x89PNG\r\n\x1a\n", 8);
  assert_int_equal(cnn_net_load(path, &net), CNN_E_KEY);
  snprintf(expected, sizeof expected, "%s:1: unknown layer '?PNG'; `cnn layers` lists them", path);
  assert_string_equal(cnn_why(), expected);

  enum { LARGE = 3 << 20 };
  char *large = malloc(LARGE + 1);
  assert_non_null(large);
  memset(large, '#', LARGE);
  put_bytes(path, large, LARGE);
  assert_int_equal(cnn_net_load(path, &net), CNN_E_FORMAT);
  snprintf(expected, sizeof expected, "%s: not a network: larger than 1 MiB", path);
  assert_string_equal(cnn_why(), expected);
  free(large);
  assert_null(net);

  assert_int_equal(cnn_net_load("simple-conv-nte", &net), CNN_E_KEY);
  assert_string_equal(
      cnn_why(),
      "unknown network 'simple-conv-nte'; did you mean 'simple-conv-net'? (a file's name has a '.' or '/')");
  assert_int_equal(cnn_net_load("", &net), CNN_E_KEY);
  assert_int_equal(cnn_net_load("zzzzzzzz", &net), CNN_E_KEY);
  assert_null(net);
}

/* ---- strangers' text ---- */

static void too_much(void **state) {
  (void)state;
  enum { SIZE = 2 << 20 };
  char *text = malloc(SIZE + 64);
  assert_non_null(text);
  cnn_net *net;
  const char *input = "input shape=1x1x1\n";
  const size_t head = strlen(input);
  memcpy(text, input, head);

  memset(text + head, ' ', 1000000); /* a line of a million blanks, and as many of comment, are no mistake */
  memset(text + head + 500000, '#', 500000);
  memcpy(text + head + 1000000, "\nrelu", 6);
  net = parse(text);
  assert_int_equal(cnn_net_layer_count(net), 2);
  cnn_net_free(net);

  memset(text + head, 'k', 1000000); /* a word of a million letters: a layer's name, a key, a value, a name */
  static const char *const before[] = {"", "affine ", "affine units=", "affine units=1 name="};
  for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
    memcpy(text + head, before[i], strlen(before[i]));
    text[head + 1000000] = 0;
    assert_int_not_equal(cnn_net_parse(text, "t", &net), CNN_OK);
    assert_in_range(strlen(cnn_why()), 20, 250);
  }

  size_t at = head; /* many words */
  for (int i = 0; i < 150000; i++) at += (size_t)sprintf(text + at, i ? " name=a" : "relu");
  assert_int_equal(cnn_net_parse(text, "t", &net), CNN_E_FORMAT);
  text[head + 1000003] = 0;
  assert_int_equal(cnn_net_parse(text, "t", &net), CNN_E_KEY);

  at = head; /* many bricks */
  for (int i = 0; i < 4095; i++) at += (size_t)sprintf(text + at, i % 2 ? "relu\n" : "affine units=1\n");
  net = parse(text);
  assert_int_equal(cnn_net_layer_count(net), 4096);
  cnn_memory memory;
  assert_int_equal(cnn_plan_memory(net, NULL, NULL, &memory), CNN_OK);
  cnn_net_free(net);
  for (int i = 0; i < 100000; i++) at += (size_t)sprintf(text + at, "relu\n");
  assert_int_equal(cnn_net_parse(text, "t", &net), CNN_E_ARGUMENT);
  assert_string_equal(cnn_why(), "t:4097: relu: a network has at most 4096 bricks");

  memset(text, '\n', SIZE); /* more than a network needs */
  text[SIZE] = 0;
  assert_int_equal(cnn_net_parse(text, "t", &net), CNN_E_FORMAT);
  assert_string_equal(cnn_why(), "t: not a network: larger than 1 MiB");
  free(text);
}

/* Numbers at the ends of their ranges: refused, or planned without overflow. */
static void huge_numbers(void **state) {
  (void)state;
  static const char *const texts[] = {
      "input shape=1x16384x16384\nconv filters=1 kernel=1\nsoftmax",
      "input shape=65535x90x90\nrelu\naffine units=4",
      "input shape=1x1x1\naffine units=16777216\naffine units=100\nsoftmax",
      "input shape=16x1x1\naffine units=16777216\nrelu",
      "input shape=1x1x1\naffine units=16777216\naffine units=16777216",
      "input shape=65535x1x1\nconv filters=65536 kernel=1",
      "input shape=1x64x64\nconv filters=65536 kernel=64x64\naffine units=10",
      "input shape=1x9x9\nconv filters=8 kernel=1024 dilation=2 pad=1024\naffine units=2",
      "input shape=1x65535x1\nconv filters=1 kernel=1024x1 dilation=66x1 pad=1024x0\naffine units=2",
      "input shape=1x1x1\nmaxpool kernel=65535 pad=32767 round=floor\nrelu",
      "input shape=4096x1x1\nconv filters=4096 kernel=1 groups=4096\nconv filters=65536 kernel=1 groups=4096",
  };
  int good = 0;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    cnn_net *net;
    if (cnn_net_parse(texts[i], "t", &net) != CNN_OK) continue;
    for (int mode = 0; mode < 2; mode++)
      for (int large = 0; large < 2; large++) {
        cnn_memory memory;
        cnn_plan_options options = {.mode = mode ? CNN_TRAIN : CNN_INFER,
                                    .batch = large ? 1 << 24 : 1,
                                    .threads = 256,
                                    .group = large};
        cnn_status status = cnn_plan_memory(net, &options, NULL, &memory);
        if (status != CNN_OK) {
          assert_int_equal(status, CNN_E_SHAPE);
          continue;
        }
        good++;
        assert_true(memory.weights >= 0 && memory.gradients >= 0 && memory.activations > 0 &&
                    memory.scratch >= 0);
        assert_true(memory.total >= memory.weights + memory.gradients + memory.activations + memory.scratch);
      }
    cnn_net_free(net);
  }
  assert_true(good > 10);
}

static void every_allocation(void **state) {
  (void)state;
  static const char text[] =
      "input shape=2x8x8\nconv filters=3 kernel=3 init=normal:0.5\nrelu\naffine units=4";
  for (int what = 0; what < 2; what++) {
    cnn_net *net = NULL;
    long successes = 0;
    for (;; successes++) {
      mem_fail_after(successes);
      cnn_status status = what ? cnn_net_load("simple-conv-net", &net) : cnn_net_parse(text, "t", &net);
      mem_fail_after(-1);
      if (status == CNN_OK) break;
      assert_int_equal(status, CNN_E_MEMORY);
      assert_null(net);
      assert_non_null(strstr(cnn_why(), "out of memory"));
    }
    assert_true(successes > 10 && successes < 200);
    for (successes = 0;; successes++) {
      mem_fail_after(successes);
      const char *given = cnn_net_text(net);
      mem_fail_after(-1);
      if (given) break;
    }
    assert_true(successes > 3);
    assert_non_null(strstr(cnn_net_text(net), "relu\naffine units="));
    cnn_net_free(net);
  }
  mem_fail_after(0);
  cnn_net *net = cnn_net_new();
  mem_fail_after(-1);
  assert_null(net);
}

/* ---- mutations ---- */

struct random {
  struct rng rng;
  uint64_t at;
};

static size_t below(struct random *random, size_t bound) {
  return (size_t)rng_below(&random->rng, random->at++, bound);
}

enum { ROOM = 4096 };

static void insert(char *text, size_t at, const char *what, size_t count) {
  size_t length = strlen(text);
  if (length + count + 1 > ROOM) return;
  memmove(text + at + count, text + at, length - at + 1);
  memcpy(text + at, what, count);
}

static void mutate(struct random *random, char *text) {
  static const char *const words[] = {"0",
                                      "-1",
                                      "9",
                                      "99999",
                                      "2147483648",
                                      "18446744073709551616",
                                      "x",
                                      "=",
                                      " ",
                                      "\n",
                                      "#",
                                      "\r",
                                      "\t",
                                      "1e400",
                                      "normal:",
                                      "kernel=",
                                      "stride=3",
                                      "pad=1",
                                      "groups=2",
                                      "round=ceil",
                                      "dilation=2",
                                      "name=",
                                      "name=conv1",
                                      "conv ",
                                      "maxpool ",
                                      "flatten\n",
                                      "softmax\n",
                                      "affine units=3\n",
                                      "avgpool kernel=2\n",
                                      "tanh\n",
                                      "init=he",
                                      "65535",
                                      "\xff",
                                      "%s%n",
                                      "bias=no"};
  size_t length = strlen(text), at = below(random, length + 1);
  char piece[64];
  switch (below(random, 6)) {
    case 0: /* one byte changes */
      if (length) text[below(random, length)] = (char)(1 + below(random, 255));
      break;
    case 1: { /* some go */
      size_t count = 1 + below(random, 12);
      if (at + count <= length) memmove(text + at, text + at + count, length - at - count + 1);
      break;
    }
    case 2: { /* some come */
      const char *word = words[below(random, sizeof words / sizeof *words)];
      insert(text, at, word, strlen(word));
      break;
    }
    case 3: { /* some come again elsewhere */
      size_t count = 1 + below(random, sizeof piece - 1), from = below(random, length + 1);
      if (from + count > length) break;
      memcpy(piece, text + from, count);
      insert(text, at, piece, count);
      break;
    }
    case 4: /* a digit becomes another */
      for (size_t i = 0; i < length; i++) {
        char *c = &text[(at + i) % length];
        if (*c < '0' || *c > '9') continue;
        *c = (char)('0' + below(random, 10));
        break;
      }
      break;
    default: text[at] = 0; /* the end is lost */
  }
}

static void mutations(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  char original[ROOM], text[ROOM];
  snprintf(original, sizeof original, "# a comment\n%s", cnn_net_text(net));
  cnn_net_free(net);
  struct random random = {rng_stream(7, RNG_GRADCHECK, 77), 0};
  int good = 0;
  for (int i = 0; i < 20000; i++) {
    memcpy(text, original, sizeof text);
    for (size_t times = 1 + below(&random, 3); times > 0; times--) mutate(&random, text);
    (void)CNN_FAIL(CNN_E_IO, "nothing yet");
    net = NULL;
    cnn_status status = cnn_net_parse(text, "fuzz", &net);
    if (status != CNN_OK) {
      assert_null(net);
      assert_memory_equal(cnn_why(), "fuzz:", 5); /* a place, and a sentence of its own */
      for (const char *c = cnn_why(); *c; c++) assert_true(*c >= ' ' || *c < 0);
      continue;
    }
    good++;
    char *normal = strdup(cnn_net_text(net));
    cnn_net *again = parse(normal);
    if (strcmp(cnn_net_text(again), normal)) fail_msg("%s\nbecame\n%s", normal, cnn_net_text(again));
    cnn_memory memory;
    cnn_plan_options options = {.mode = CNN_INFER, .batch = 3, .threads = 1};
    status = cnn_plan_memory(net, &options, NULL, &memory);
    assert_true(status == CNN_OK || status == CNN_E_SHAPE);
    cnn_net_free(again);
    cnn_net_free(net);
    free(normal);
  }
  assert_in_range(good, 2000, 18000); /* both kinds are met often */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(work_of_a_net),
      cmocka_unit_test(built_in_nets),
      cmocka_unit_test(built_in_sizes),
      cmocka_unit_test(calls_and_text_agree),
      cmocka_unit_test(weights),
      cmocka_unit_test(forms_of_text),
      cmocka_unit_test(layer_classes_are_told),
      cmocka_unit_test(mistakes),
      cmocka_unit_test(sentence_of_the_manual),
      cmocka_unit_test(first_failure_sticks),
      cmocka_unit_test(files),
      cmocka_unit_test(too_much),
      cmocka_unit_test(huge_numbers),
      cmocka_unit_test(every_allocation),
      cmocka_unit_test(mutations),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
