/* Pictures: what stands where, on hand-made tensors; and saliency, Grad-CAM and occlusion against PyTorch.
 *
 * What PyTorch gave is kept in tests/golden/torch-see.txt, made by tools/make-torch-see.py, which runs this
 * program with `--dump FOLDER` for the model and the image that both start from. */
#include <math.h>

#include "plans.h"
#include "scratch.h"

#define GOLDEN CNN_SOURCE_DIR "/tests/golden/torch-see.txt"

enum { SIDE = 12, IMAGE = 2 * SIDE * SIDE, CLASS = 1, COVER = 4, STRIDE = 3 };
static const float fill = 0.25F;

static const char text[] =
    "input shape=2x12x12\n"
    "conv name=c1 filters=6 kernel=3 init=he\n"
    "relu name=r1\n"
    "maxpool name=p1 kernel=2 stride=2\n"
    "conv name=c2 filters=5 kernel=2 init=he\n"
    "batchnorm name=b2\n"
    "relu name=r2\n"
    "dropout\n"
    "affine name=f1 units=3 init=he\n"
    "softmax\n";

/* A model whose running mean and variance are not those of a new one. */
static cnn_plan *model_plan(const cnn_net *net, int64_t batch) {
  static const float mean[] = {0.2F, -0.1F, 0.4F, 0.3F, 0}, variance[] = {0.5F, 2, 1.5F, 0.7F, 1.1F},
                     scale[] = {1.2F, 0.8F, -1, 1, 0.5F}, bias[] = {0.1F, 0.2F, 0.3F, 0, -0.1F};
  cnn_plan_options options = training(batch);
  options.keep = true;
  cnn_plan *plan = plan_of(net, options);
  ok(cnn_plan_set_weight(plan, "b2.running_mean", mean, 5));
  ok(cnn_plan_set_weight(plan, "b2.running_var", variance, 5));
  ok(cnn_plan_set_weight(plan, "b2.weight", scale, 5));
  ok(cnn_plan_set_weight(plan, "b2.bias", bias, 5));
  return plan;
}

static cnn_tensor model_image(float *values_of) { return (cnn_tensor){values_of, {1, 2, SIDE, SIDE}}; }

static void dump(const char *folder) {
  char path[2048];
  cnn_net *net = parse(text);
  cnn_plan *plan = model_plan(net, 1);
  snprintf(path, sizeof path, "%s/see.safetensors", folder);
  ok(cnn_model_save(path, plan, NULL));
  snprintf(path, sizeof path, "%s/see.image", folder);
  float *x = values(9, IMAGE);
  put_bytes(path, x, IMAGE * sizeof *x);
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* The values of the line that begins with `name`. */
static void read_golden(const char *name, double *into, int count) {
  FILE *file = fopen(GOLDEN, "r");
  assert_non_null(file);
  char word[128] = "";
  while (strcmp(word, name) != 0)
    if (fscanf(file, " %127s", word) != 1) fail_msg("%s has no %s", GOLDEN, name);
  for (int i = 0; i < count; i++) {
    char *end;
    assert_int_equal(fscanf(file, "%63s", word), 1);
    into[i] = strtod(word, &end);
    assert_true(end > word && !*end);
  }
  fclose(file);
}

static void same_map(const char *name, const float *map, int count) {
  double golden[SIDE * SIDE], most = 0;
  read_golden(name, golden, count);
  for (int i = 0; i < count; i++)
    if (fabs(golden[i]) > most) most = fabs(golden[i]);
  assert_true(most > 1e-3);
  for (int i = 0; i < count; i++)
    if (!(fabs((double)map[i] - golden[i]) <= 3e-6 * (1 + most)))
      fail_msg("%s: element %d is %.9g; PyTorch has %.9g", name, i, (double)map[i], golden[i]);
}

static void explains_as_torch_does(void **state) {
  (void)state;
  cnn_net *net = parse(text);
  float *x = values(9, IMAGE), map[SIDE * SIDE];
  for (int64_t batch = 1; batch <= 7; batch += 6) {
    cnn_plan *plan = model_plan(net, batch);
    cnn_tensor image = model_image(x), whole = {map, {1, 1, SIDE, SIDE}};
    ok(cnn_saliency(plan, image, CLASS, whole));
    same_map("saliency", map, SIDE * SIDE);
    ok(cnn_occlusion(plan, image, CLASS, COVER, STRIDE, fill, whole));
    same_map("occlusion", map, SIDE * SIDE);
    ok(cnn_grad_cam(plan, image, CLASS, "r1", (cnn_tensor){map, {1, 1, 10, 10}}));
    same_map("grad-cam-r1", map, 100);
    ok(cnn_grad_cam(plan, image, CLASS, "c2", (cnn_tensor){map, {1, 1, 4, 4}}));
    same_map("grad-cam-c2", map, 16);
    assert_fails(CNN_E_ARGUMENT, cnn_saliency(plan, image, 3, whole),
                 "class 3 of a network whose output is 3x1x1");
    assert_fails(CNN_E_SHAPE, cnn_grad_cam(plan, image, CLASS, "r1", whole), "it must be 1x1x10x10");
    assert_fails(CNN_E_ARGUMENT, cnn_occlusion(plan, image, CLASS, 13, 1, 0, whole), "squares of 13 pixels");
    cnn_plan_free(plan);
  }
  free(x);
  cnn_net_free(net);
}

/* ---- Pictures ---- */

static void is(const cnn_picture *picture, int64_t y, int64_t x, float red, float green, float blue) {
  const float want[3] = {red, green, blue};
  for (int c = 0; c < 3; c++) {
    float got = *cnn_tensor_at(cnn_picture_pixels(picture), 0, c, y, x);
    if (!(fabsf(got - want[c]) < 1e-6F))
      fail_msg("channel %d of pixel (%d, %d) is %g, not %g", c, (int)y, (int)x, (double)got, (double)want[c]);
  }
}

static void is_grey(const cnn_picture *picture, int64_t y, int64_t x, float grey) {
  is(picture, y, x, grey, grey, grey);
}

/* Two filters of 2x2: each has its own black and white, and squares of 3 pixels; paper between. */
static void sheets(void **state) {
  (void)state;
  float two[8] = {-1, 0, 1, 3, 10, 30, 20, 10};
  cnn_tensor tiles = {two, {2, 1, 2, 2}};
  cnn_picture *sheet;
  ok(cnn_picture_sheet(tiles, &(cnn_sheet_options){.zoom = 3, .columns = 2, .mark = true}, &sheet));
  cnn_shape shape = cnn_picture_pixels(sheet).shape;
  assert_int_equal(shape.h, 4 + 6 + 4);
  assert_int_equal(shape.w, 4 + 6 + 4 + 6 + 4);
  is_grey(sheet, 0, 0, CNN_PAPER);
  is_grey(sheet, 5, 5, 0);
  is_grey(sheet, 4, 7, 0.25F);
  is_grey(sheet, 9, 5, 0.5F);
  is_grey(sheet, 8, 8, 1);
  is(sheet, 6, 8, 0.9F, 0.1F, 0.1F); /* the frame around the largest, which is below and to the right */
  is(sheet, 10, 10, 0.9F, 0.1F, 0.1F);
  is_grey(sheet, 5, 12, CNN_PAPER);
  is_grey(sheet, 8, 15, 0.5F);
  is_grey(sheet, 8, 18, 0);
  cnn_picture_free(sheet);
  ok(cnn_picture_sheet(tiles, &(cnn_sheet_options){.zoom = 1, .columns = 1, .shared = true}, &sheet));
  is_grey(sheet, 4, 4, 0);
  is_grey(sheet, 4 + 2 + 4, 5, 1);
  is_grey(sheet, 4, 5, 1 / 31.0F);
  cnn_picture_free(sheet);
  float colours[6] = {0, 1, 0.5F, 0, 0.25F, 1};
  ok(cnn_picture_sheet((cnn_tensor){colours, {1, 3, 1, 2}}, &(cnn_sheet_options){.zoom = 2}, &sheet));
  is(sheet, 5, 5, 0, 0.5F, 0.25F);
  is(sheet, 5, 6, 1, 0, 1);
  cnn_picture_free(sheet);
  ok(cnn_picture_sheet((cnn_tensor){two, {1, 1, 1, 8}}, NULL, &sheet)); /* a long tile: 48 pixels wide */
  assert_int_equal(cnn_picture_pixels(sheet).shape.w, 4 + 48 + 4);
  assert_int_equal(cnn_picture_pixels(sheet).shape.h, 4 + 6 + 4);
  cnn_picture_free(sheet);
  float dead[2] = {0, 0}, same[2] = {7, 7}, none[3] = {NAN, 1, 2};
  cnn_scale((cnn_tensor){same, {1, 1, 1, 2}});
  assert_true(same[0] == 0.5F && same[1] == 0.5F);
  cnn_scale((cnn_tensor){dead, {1, 1, 1, 2}});
  assert_true(dead[0] == 0 && dead[1] == 0);
  cnn_scale((cnn_tensor){none, {1, 1, 1, 3}});
  assert_true(isnan(none[0]) && none[1] == 0 && none[2] == 1);
  assert_fails(CNN_E_SHAPE, cnn_picture_new(1 << 14, 1 << 13, 0, &sheet), "show less");
  assert_fails(CNN_E_ARGUMENT, cnn_picture_sheet(tiles, &(cnn_sheet_options){.zoom = 5000}, &sheet),
               "zoom 5000");
}

/* A map of half the image's size: orange for, blue against, the image's own grey where it is 0. */
static void overlays(void **state) {
  (void)state;
  float image[16], map[4] = {2, -2, 0, 1};
  for (int i = 0; i < 16; i++) image[i] = 1;
  cnn_picture *overlay;
  ok(cnn_picture_overlay((cnn_tensor){image, {1, 1, 4, 4}}, (cnn_tensor){map, {1, 1, 2, 2}}, 2, &overlay));
  assert_int_equal(cnn_picture_pixels(overlay).shape.w, 8);
  is(overlay, 3, 3, 1, 0.45F, 0);
  is(overlay, 3, 4, 0.1F, 0.45F, 1);
  is_grey(overlay, 4, 3, 0.7F);
  is(overlay, 7, 7, 0.85F, 0.575F, 0.35F);
  cnn_picture_free(overlay);
  assert_fails(
      CNN_E_SHAPE,
      cnn_picture_overlay((cnn_tensor){image, {1, 2, 2, 4}}, (cnn_tensor){map, {1, 1, 2, 2}}, 1, &overlay),
      "the image is 1x2x2x4");
}

static double ink_of(const cnn_picture *picture, int64_t left, int64_t right) {
  double sum = 0;
  for (int64_t y = 0; y < cnn_picture_pixels(picture).shape.h; y++)
    for (int64_t x = left; x < right; x++)
      sum += 1 - (double)*cnn_tensor_at(cnn_picture_pixels(picture), 0, 0, y, x);
  return sum;
}

/* Characters have their cells; those beyond the edge, or beyond ASCII, do no harm; 'l' is thinner than 'W'.
 */
static void words(void **state) {
  (void)state;
  cnn_picture *picture;
  ok(cnn_picture_new(14, 28, 1, &picture));
  cnn_picture_text(picture, "W l", 0, 0, 0);
  assert_true(ink_of(picture, 0, 7) > ink_of(picture, 14, 21));
  assert_true(ink_of(picture, 14, 21) > 5);
  assert_true(ink_of(picture, 7, 14) == 0 && ink_of(picture, 21, 28) == 0);
  cnn_picture_text(picture, "far beyond the edge", -7, 20, 0);
  cnn_picture_free(picture);
  assert_int_equal(cnn_text_width("\xe7\x8c\xab!"), 2 * CNN_TEXT_WIDTH); /* a character of three bytes */
  cnn_picture *parts[2], *joined;
  ok(cnn_picture_new(2, 3, 0, &parts[0]));
  ok(cnn_picture_new(4, 5, 1, &parts[1]));
  ok(cnn_picture_join(parts, 2, true, &joined));
  is_grey(joined, 1, 2, 0);
  is_grey(joined, 2, 2, CNN_PAPER);
  is_grey(joined, 3, 3, 1);
  cnn_picture_free(joined);
  ok(cnn_picture_join(parts, 2, false, &joined));
  assert_int_equal(cnn_picture_pixels(joined).shape.h, 6);
  is_grey(joined, 0, 3, CNN_PAPER);
  is_grey(joined, 2, 4, 1);
  cnn_picture_free(joined);
  cnn_picture_free(parts[0]);
  cnn_picture_free(parts[1]);
}

/* A file of it holds the same pixels, as grey where all are. */
static void files(void **state) {
  (void)state;
  static const int kind_at = 25; /* of the colour type: 0 grey, 2 colour */
  cnn_picture *picture;
  size_t length;
  float back[2 * 3], red[3] = {1, 0, 0};
  ok(cnn_picture_new(2, 3, 0.2F, &picture));
  ok(cnn_picture_write(picture, in_scratch("grey.png")));
  ok(cnn_image_read(in_scratch("grey.png"), (cnn_shape){1, 1, 2, 3}, back));
  assert_true(fabsf(back[5] - 0.2F) < 1e-6F);
  char *bytes = get_bytes(in_scratch("grey.png"), &length);
  assert_int_equal(bytes[kind_at], 0);
  free(bytes);
  cnn_picture_paste(picture, (cnn_tensor){red, {1, 3, 1, 1}}, 1, 1, 2);
  ok(cnn_picture_write(picture, in_scratch("red.png")));
  bytes = get_bytes(in_scratch("red.png"), &length);
  assert_int_equal(bytes[kind_at], 2);
  free(bytes);
  cnn_picture_free(picture);
}

/* The weights before training are those of a plan with the seed that the model names. */
static void seeds(void **state) {
  (void)state;
  static const char *const settings[] = {"{\"weights_seed\":7}",
                                         "{\"weights_seed\":\"18446744073709551615\"}", NULL};
  static const uint64_t seed[] = {7, UINT64_MAX};
  cnn_net *net = parse(text);
  cnn_plan *plan = model_plan(net, 1);
  for (int i = 0; i < 3; i++) {
    cnn_model *model;
    uint64_t got;
    ok(cnn_model_save(in_scratch("m.safetensors"), plan, &(cnn_model_info){.settings = settings[i]}));
    ok(cnn_model_load(in_scratch("m.safetensors"), &model));
    if (settings[i]) {
      ok(cnn_model_seed(model, &got));
      assert_true(got == seed[i]);
    } else {
      assert_fails(CNN_E_DATA, cnn_model_seed(model, &got), "does not say from which seed");
    }
    cnn_model_free(model);
  }
  cnn_plan_free(plan);
  cnn_net_free(net);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--dump") == 0) {
    dump(argv[2]);
    return 0;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(explains_as_torch_does),
      cmocka_unit_test(sheets),
      cmocka_unit_test(overlays),
      cmocka_unit_test(words),
      cmocka_unit_test(files),
      cmocka_unit_test(seeds),
  };
  return cmocka_run_group_tests_name("see", tests, scratch_make, scratch_remove);
}
