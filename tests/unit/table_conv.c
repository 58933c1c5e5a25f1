/* table-conv: tables as text, what is refused, and that connections that do not exist are nowhere: they have
 * no weight, no gradient, and carry neither infinities nor NaN. */
#include "engine.h"

#define C3 "0-2/1-3/2-4/3-5/0,4-5/0-1,5/0-3/1-4/2-5/0,3-5/0-1,4-5/0-2,5/0-1,3-4/1-2,4-5/0,2-3,5/0-5"

/* The table as it prints; NULL where it does not parse. */
static const char *printed(const char *text) {
  static struct text out;
  struct connections table;
  text_free(&out);
  if (connections_parse("connections", text, &table) != CNN_OK) return NULL;
  connections_print(&table, &out);
  return out.data;
}

static void text_forms(void **state) {
  (void)state;
  assert_string_equal(printed(C3), C3);
  assert_string_equal(printed("0"), "0");
  assert_string_equal(printed("2,1,0/63"), "0-2/63");
  assert_string_equal(printed("5-5,3,1,2/0,1"), "1-3,5/0-1");
  assert_string_equal(printed("0-63"), "0-63");
  char most[3 * MOST_CONNECTED + 8] = "0";
  for (int f = 1; f < MOST_CONNECTED; f++) strcat(most, "/0");
  assert_string_equal(printed(most), most);
  static const char *const bad[][2] = {{"", "connections: '' of filter 0 is no channel and no range of them"},
                                       {"/", "'' of filter 0 is no channel"},
                                       {"0/", "'' of filter 1 is no channel"},
                                       {"0,", "'' of filter 0 is no channel"},
                                       {"0-", "'0-' of filter 0 is no channel"},
                                       {"-1", "'-1' of filter 0 is no channel"},
                                       {"3-2", "'3-2' of filter 0 is no channel"},
                                       {"0/64", "'64' of filter 1 is no channel"},
                                       {"0-99999999999999999999", "'0-99999999999999999999' of filter 0"},
                                       {"a", "'a' of filter 0 is no channel"},
                                       {"0-2,1", "filter 0 has channel 1 twice"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_null(printed(bad[i][0]));
    if (!strstr(cnn_why(), bad[i][1])) fail_msg("'%s': %s", bad[i][0], cnn_why());
  }
  strcat(most, "/0");
  assert_null(printed(most));
  assert_non_null(strstr(cnn_why(), "connections: more than 64 filters"));
}

static void refused(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"shape=2x5x5", "kernel=3 connections=0/0-2",
       "connections name channel 2, but the input has channels 0 to 1"},
      {"shape=65x5x5", "kernel=3 connections=0", "the input has 65 channels; a table takes at most 64"},
      {"shape=2x5x5", "kernel=3 pad=3 connections=0", "pad 3 is not less than kernel 3; make it smaller"},
      {"shape=2x5x5", "kernel=6 connections=0", "kernel 6 stride 1 does not fit 5x5: 5 - 6 is negative"},
      {"shape=2x5x5", "kernel=3", "key 'connections' is missing"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cnn_net *net = cnn_net_new();
    ok(cnn_net_add(net, "input", cases[i][0]));
    assert_int_not_equal(cnn_net_add(net, "table-conv", cases[i][1]), CNN_OK);
    if (!strstr(cnn_why(), cases[i][2])) fail_msg("%s", cnn_why());
    cnn_net_free(net);
  }
}

/* LeCun et al. 1998, section II-B: "Layer C3 has 1,516 trainable parameters and 151,600 connections", of
 * which 1,600 are biases'. */
static void size_of_c3(void **state) {
  (void)state;
  cnn_net *net = cnn_net_new();
  cnn_layer_info info;
  cnn_weight_info weight;
  ok(cnn_net_add(net, "input", "shape=6x14x14"));
  ok(cnn_net_add(net, "table-conv", "kernel=5 connections=" C3));
  ok(cnn_net_layer(net, 1, &info));
  assert_int_equal(info.parameters, 1516);
  assert_int_equal(info.multiply_adds + 1600, 151600);
  ok(cnn_net_weight(net, 0, &weight));
  assert_int_equal(weight.count, 60 * 25);
  cnn_net_free(net);
}

/* Where every filter sees every channel: conv's values, but for rounding. */
static void as_conv_with_all(void **state) {
  (void)state;
  struct probe *table, *conv;
  cnn_shape in = {3, 5, 7, 6};
  ok(probe_new("table-conv", "kernel=3x2 pad=2x1 connections=0-4/0-4/0-4/0-4", in, 7, 1, &table));
  ok(probe_new("conv", "kernel=3x2 pad=2x1 filters=4", in, 7, 1, &conv));
  for (int part = 0; part < PROBE_PARTS; part++) {
    assert_int_equal(table->count[part], conv->count[part]);
    for (int64_t i = 0; i < table->count[part]; i++)
      assert_true(fabsf(table->engine[part][i] - conv->engine[part][i]) < 2e-5F);
  }
  probe_free(table);
  probe_free(conv);
}

/* Channel 1 is infinite, and filter 2 of dy: what does not see them stays as it was, and in the plan weights
 * and gradients of connections that do not exist are 0. */
static void nothing_leaks(void **state) {
  (void)state;
  static const char words[] = "kernel=2 connections=0/0-1/2/0,2";
  struct probe *p;
  cnn_shape in = {2, 3, 4, 4};
  ok(probe_new("table-conv", words, in, 7, 1, &p));
  for (int64_t n = 0; n < 2; n++)
    for (int64_t i = 0; i < 16; i++) p->x[(n * 3 + 1) * 16 + i] = i % 2 ? INFINITY : NAN;
  for (int64_t n = 0; n < 2; n++)
    for (int64_t i = 0; i < 9; i++) p->dy[(n * 4 + 2) * 9 + i] = INFINITY;
  struct engine e = engine_run(p, "table-conv", words, (struct way){.threads = 1});
  for (int64_t n = 0; n < 2; n++) {
    for (int64_t i = 0; i < 4 * 9; i++) assert_true(i / 9 == 1 || isfinite(e.part[PROBE_OUTPUT][n * 36 + i]));
    for (int64_t i = 0; i < 3 * 16; i++)
      assert_true(i / 16 == 2 || isfinite(e.part[PROBE_INPUT][n * 48 + i])); /* filter 2 sees channel 2 */
  }
  const struct step *step = &e.plan->steps[1];
  bool exists[3 * 4 * BLOCK] = {0};
  assert_int_equal(step->weight_at[1], 3 * 4 * BLOCK);
  for (int64_t i = 0; i < p->count[PROBE_WEIGHT]; i++)
    exists[e.plan->net->bricks[1].class->place(step, 0, i)] = true;
  for (int64_t i = 0; i < 3 * 4 * BLOCK; i++)
    if (!exists[i] && (step->weight[i] != 0 || step->gradient[i] != 0))
      fail_msg("place %" PRId64 ": weight %g, gradient %g", i, (double)step->weight[i],
               (double)step->gradient[i]);
  engine_free(&e);
  probe_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(text_forms), cmocka_unit_test(refused),
                                     cmocka_unit_test(size_of_c3), cmocka_unit_test(as_conv_with_all),
                                     cmocka_unit_test(nothing_leaks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
