/* Data sets of every source, their splits and their failures: src/data/dataset.c and folder.c. */
#include "data/dataset.h"

#include <math.h>

#include "data_pictures.h"

static cnn_dataset *open_set(const char *source, const cnn_dataset_options *options) {
  cnn_dataset *set = NULL;
  ok(cnn_dataset_open(source, options, &set));
  assert_string_equal(cnn_dataset_name(set), source);
  return set;
}

static void assert_refused(cnn_status status, const char *source, const char *words) {
  cnn_dataset *untouched = (cnn_dataset *)(void *)scratch, *set = untouched;
  cnn_status got = cnn_dataset_open(source, NULL, &set);
  if (got != status) fail_msg("%s: %s", cnn_status_name(got), cnn_why());
  assert_why(words);
  assert_ptr_equal(set, untouched);
}

static void assert_image(const cnn_dataset *set, int64_t c, int64_t h, int64_t w) {
  cnn_shape image = cnn_dataset_image(set);
  assert_int_equal(image.n, 1);
  assert_int_equal(image.c, c);
  assert_int_equal(image.h, h);
  assert_int_equal(image.w, w);
}

/* ------------------------------------------------------------------ options and sources */

static void test_options(void **state) {
  (void)state;
  cnn_dataset_options standard = cnn_dataset_defaults(), options = standard;
  assert_int_equal(standard.seed, 1);
  assert_true(standard.test_fraction == 0.1);
  assert_int_equal(standard.image.c, 0);
  cnn_dataset *set;
  options.image = (cnn_shape){1, 2, 8, 8};
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_open(scratch, &options, &set), "image is 2x8x8");
  options.image = (cnn_shape){1, 3, 8, 0};
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_open(scratch, &options, &set), "image is 3x8x0");
  static const double wrong[] = {0, 1, -1, 2, (double)NAN};
  for (int i = 0; i < 5; i++) {
    options = standard;
    options.test_fraction = wrong[i];
    assert_fails(CNN_E_ARGUMENT, cnn_dataset_open(scratch, &options, &set), "test_fraction");
  }
}

static void test_unknown_sources(void **state) {
  (void)state;
  assert_refused(CNN_E_DATA, "mnits", "unknown data set 'mnits': did you mean 'mnist'?");
  assert_refused(CNN_E_DATA, "fashion_mnist", "did you mean 'fashion-mnist'?");
  assert_refused(CNN_E_DATA, "xyzzy-nothing-near", "a folder of images");
  assert_refused(CNN_E_IO, in_scratch("no such folder"), "No such file");
  assert_refused(CNN_E_ARGUMENT, "", "no data set is named");
  assert_refused(CNN_E_ARGUMENT, "a,b,c", "names 3 files");
  assert_refused(CNN_E_IO, "no-images,no-labels", "'no-images' cannot be opened");
  put_bytes(in_scratch("one"), "x", 1);
  assert_refused(CNN_E_ARGUMENT, in_scratch("one"), "names 1 file: give images,labels");
}

static void test_not_fetched(void **state) {
  (void)state;
  char *before;
  set_variable("CNN_DATA", in_scratch("empty cache"), &before);
  assert_refused(CNN_E_DATA, "mnist", "/empty cache/mnist: run `cnn data fetch mnist`");
  put_back("CNN_DATA", before);
}

/* ------------------------------------------------------------------ IDX files */

enum { MANY = 100 };

/* Image i is 2x3 pixels of value i. */
static void put_images(const char *path, uint32_t count) {
  static uint8_t file[16 + 6 * 256], elements[6 * 256];
  for (uint32_t i = 0; i < 6 * count; i++) elements[i] = (uint8_t)(i / 6);
  put_bytes(path, file, make_idx(file, 3, (const uint32_t[]){count, 2, 3}, elements, 6 * count));
}

static void put_labels(const char *path, uint32_t count, const uint8_t *labels) {
  uint8_t file[8 + 256];
  put_bytes(path, file, make_idx(file, 1, &count, labels, count));
}

/* 60 of label 0, 30 of label 1, 9 of label 3, 1 of label 4. */
static void put_pair(void) {
  uint8_t labels[MANY];
  for (int i = 0; i < MANY; i++) labels[i] = i % 10 < 6 ? 0 : i % 10 < 9 ? 1 : i == 99 ? 4 : 3;
  put_images(in_scratch("images"), MANY);
  put_labels(in_scratch("labels"), MANY, labels);
}

static const char *pair(void) {
  static char source[2048];
  snprintf(source, sizeof source, "%s,%s", in_scratch("images"), in_scratch("labels"));
  return source;
}

/* Which of the images are in the test split, by what their pixels say; each is there once. */
static void find_tests(const cnn_dataset *set, uint8_t *is_test) {
  uint8_t seen[MANY] = {0};
  for (int split = 0; split < 2; split++)
    for (int64_t i = 0; i < cnn_dataset_count(set, split); i++) {
      const uint8_t *pixels = dataset_pixels(set, split, i);
      int image = pixels[0];
      for (int k = 0; k < 6; k++) assert_int_equal(pixels[k], image);
      int expected = image % 10 < 6 ? 0 : image % 10 < 9 ? 1 : image == 99 ? 4 : 3;
      assert_int_equal(dataset_label(set, split, i), expected);
      assert_int_equal(seen[image]++, 0);
      is_test[image] = (uint8_t)split;
    }
  for (int i = 0; i < MANY; i++) assert_int_equal(seen[i], 1);
}

static void test_idx_pair_is_split(void **state) {
  (void)state;
  put_pair();
  cnn_dataset *set = open_set(pair(), NULL);
  assert_image(set, 1, 2, 3);
  assert_int_equal(cnn_dataset_classes(set), 5);
  assert_string_equal(cnn_dataset_class(set, 4), "4");
  assert_null(cnn_dataset_class(set, 5));
  assert_null(cnn_dataset_class(set, -1));
  /* a tenth of each class: 6, 3, round(0.9) and none of the only one */
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TRAIN), 90);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TEST), 10);
  uint8_t is_test[MANY], again[MANY], other[MANY];
  int by_label[5] = {0};
  find_tests(set, is_test);
  for (int64_t i = 0; i < 10; i++) by_label[dataset_label(set, CNN_SPLIT_TEST, i)]++;
  assert_int_equal(by_label[0], 6);
  assert_int_equal(by_label[1], 3);
  assert_int_equal(by_label[3], 1);
  cnn_dataset_free(set);
  set = open_set(pair(), NULL);
  find_tests(set, again);
  cnn_dataset_free(set);
  assert_memory_equal(is_test, again, MANY);
  cnn_dataset_options options = cnn_dataset_defaults();
  options.seed = 2;
  set = open_set(pair(), &options);
  find_tests(set, other);
  cnn_dataset_free(set);
  assert_memory_not_equal(is_test, other, MANY);
}

/* The rule is part of the format of a run. Golden: written down from its first version, GCC 12, x86-64. */
static void test_split_stays_as_it_is(void **state) {
  (void)state;
  static const int32_t labels[20] = {0, 1, 0, 1, 2, 0, 1, 0, 1, 0, 0, 1, 0, 1, 2, 0, 1, 0, 1, 3};
  static const uint8_t expected[20] = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0};
  uint8_t is_test[20];
  assert_int_equal(dataset_split(labels, 20, 1, 0.3, is_test), CNN_OK);
  for (int i = 0; i < 20; i++) assert_int_equal(is_test[i], expected[i]);
}

/* Whatever the fraction, two images of a class are parted. */
static void test_split_keeps_one(void **state) {
  (void)state;
  int32_t labels[9] = {0, 0, 1, 1, 1, 2, 3, 3, 3};
  static const double fractions[] = {1e-9, 0.2, 0.5, 0.9, 1 - 1e-9};
  for (uint64_t seed = 0; seed < 20; seed++)
    for (int f = 0; f < 5; f++) {
      uint8_t is_test[9];
      int tests[4] = {0};
      assert_int_equal(dataset_split(labels, 9, seed, fractions[f], is_test), CNN_OK);
      for (int i = 0; i < 9; i++) tests[labels[i]] += is_test[i];
      assert_int_equal(tests[0], 1);
      assert_in_range(tests[1], 1, 2);
      assert_int_equal(tests[2], 0);
      assert_in_range(tests[3], 1, 2);
    }
}

static void test_idx_four_files(void **state) {
  (void)state;
  char source[4096];
  put_images(in_scratch("a"), 3);
  put_labels(in_scratch("b"), 3, (const uint8_t[]){0, 2, 1});
  put_images(in_scratch("c"), 2);
  put_labels(in_scratch("d"), 2, (const uint8_t[]){7, 0});
  snprintf(source, sizeof source, "%s,%s,%s,%s", in_scratch("a"), in_scratch("b"), in_scratch("c"),
           in_scratch("d"));
  cnn_dataset *set = open_set(source, NULL);
  assert_int_equal(cnn_dataset_classes(set), 8);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TRAIN), 3);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TEST), 2);
  assert_int_equal(cnn_dataset_count(set, (cnn_split)2), 0);
  assert_int_equal(dataset_label(set, CNN_SPLIT_TEST, 0), 7);
  assert_int_equal(dataset_pixels(set, CNN_SPLIT_TRAIN, 2)[5], 2);
  int64_t pixels_and_labels = 5 * (6 + 4);
  assert_in_range(cnn_dataset_bytes(set), pixels_and_labels, pixels_and_labels + 4096 + 500);
  cnn_dataset_free(set);
}

static void test_idx_that_do_not_fit(void **state) {
  (void)state;
  char source[4096];
  uint8_t file[64], elements[99] = {0};
  put_pair();
  put_labels(in_scratch("few"), 99, elements);
  snprintf(source, sizeof source, "%s,%s", in_scratch("images"), in_scratch("few"));
  assert_refused(CNN_E_DATA, source, "has 100 images, ");
  assert_why("has 99 labels");
  put_bytes(in_scratch("small"), file, make_idx(file, 3, (const uint32_t[]){2, 2, 2}, elements, 8));
  put_labels(in_scratch("two"), 2, elements);
  snprintf(source, sizeof source, "%s,%s,%s,%s", in_scratch("images"), in_scratch("labels"),
           in_scratch("small"), in_scratch("two"));
  assert_refused(CNN_E_DATA, source, "has images of 1x2x2, those of the training split are 1x2x3");
  snprintf(source, sizeof source, "%s,%s", in_scratch("labels"), in_scratch("images"));
  assert_refused(CNN_E_FORMAT, source, "the order of files is images,labels");
}

static void test_read(void **state) {
  (void)state;
  put_images(in_scratch("images"), 256);
  uint8_t labels[256];
  for (int i = 0; i < 256; i++) labels[i] = (uint8_t)i;
  put_labels(in_scratch("labels"), 256, labels);
  cnn_dataset *set = open_set(pair(), NULL); /* each class has one image: none is for testing */
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TRAIN), 256);
  assert_int_equal(cnn_dataset_classes(set), 256);
  float image[6];
  int32_t label;
  for (int i = 0; i < 256; i++) {
    assert_int_equal(cnn_dataset_read(set, CNN_SPLIT_TRAIN, i, image, &label), CNN_OK);
    assert_int_equal(label, i);
    for (int k = 0; k < 6; k++) assert_true(image[k] == (float)i / 255.0F);
  }
  assert_int_equal(cnn_dataset_read(set, CNN_SPLIT_TRAIN, 0, NULL, NULL), CNN_OK);
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_read(set, CNN_SPLIT_TRAIN, 256, image, &label),
               "train split has 256");
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_read(set, CNN_SPLIT_TRAIN, -1, image, &label), "image -1");
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_read(set, CNN_SPLIT_TEST, 0, image, &label), "test split has 0");
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_read(set, (cnn_split)7, 0, image, &label), "split 7");
  cnn_dataset_free(set);
  cnn_dataset_free(NULL);
}

/* ------------------------------------------------------------------ folders */

static void put_picture(const char *path, uint8_t value) { write_plain_png(path, 4, 4, 1, &value); }

/* Three classes, with things that are none between them. */
static const char *make_folder(const char *name) {
  static const uint8_t red[] = {255, 0, 0};
  new_folder(in_scratch("%s", name));
  static const char *const folders[] = {"b", "Zebra", "a", ".hidden"}; /* not in order */
  for (int i = 0; i < 4; i++) new_folder(in_scratch("%s/%s", name, folders[i]));
  for (int i = 4; i >= 0; i--) put_picture(in_scratch("%s/a/%d.png", name, i), (uint8_t)(10 + i));
  for (int i = 0; i < 3; i++) put_picture(in_scratch("%s/b/x%d.PNG", name, i), (uint8_t)(20 + i));
  write_plain_png(in_scratch("%s/Zebra/10.png", name), 4, 4, 3, red);
  uint8_t grey[16];
  memset(grey, 77, sizeof grey);
  write_jpeg(in_scratch("%s/Zebra/2.JpEg", name), 4, 4, 1, false, grey);
  put_bytes(in_scratch("%s/a/notes.txt", name), "x", 1);
  put_bytes(in_scratch("%s/a/.5.png", name), "x", 1);
  put_bytes(in_scratch("%s/readme", name), "x", 1);
  new_folder(in_scratch("%s/a/6.png", name)); /* a folder is no image */
  return in_scratch("%s", name);
}

static void test_folder(void **state) {
  (void)state;
  const char *path = make_folder("pets");
  cnn_dataset *set = open_set(path, NULL);
  assert_int_equal(cnn_dataset_classes(set), 3);
  assert_string_equal(cnn_dataset_class(set, 0), "Zebra");
  assert_string_equal(cnn_dataset_class(set, 1), "a");
  assert_string_equal(cnn_dataset_class(set, 2), "b");
  assert_image(set, 3, 4, 4); /* the first image, Zebra/10.png, is red */
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TRAIN), 7);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TEST), 3);
  cnn_dataset_free(set);
  cnn_dataset_options options = cnn_dataset_defaults();
  options.image = (cnn_shape){1, 1, 2, 6};
  options.test_fraction = 0.4;
  set = open_set(path, &options);
  assert_image(set, 1, 2, 6);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TEST), 1 + 2 + 1);
  int seen[256] = {0};
  for (int split = 0; split < 2; split++)
    for (int64_t i = 0; i < cnn_dataset_count(set, split); i++) {
      const uint8_t *pixels = dataset_pixels(set, split, i);
      for (int k = 1; k < 12; k++) assert_int_equal(pixels[k], pixels[0]);
      seen[pixels[0]]++;
      int label = dataset_label(set, split, i);
      assert_int_equal(label, pixels[0] > 70 ? 0 : pixels[0] / 10);
    }
  static const uint8_t expected[] = {10, 11, 12, 13, 14, 20, 21, 22, 76, 77};
  for (int i = 0; i < 10; i++) assert_int_equal(seen[expected[i]], 1);
  cnn_dataset_free(set);
}

/* The order in which files were made and the folder's name do not matter. */
static void test_folder_order(void **state) {
  (void)state;
  cnn_dataset *sets[2];
  for (int which = 0; which < 2; which++) {
    const char *name = which ? "up" : "down";
    new_folder(in_scratch("%s", name));
    new_folder(in_scratch("%s/%s", name, which ? "p" : "q"));
    new_folder(in_scratch("%s/%s", name, which ? "q" : "p"));
    for (int i = 0; i < 12; i++) {
      int k = which ? i : 11 - i;
      put_picture(in_scratch("%s/%s/%02d.png", name, k % 3 ? "p" : "q", k), (uint8_t)k);
    }
    sets[which] = open_set(in_scratch("%s", name), NULL);
  }
  for (int split = 0; split < 2; split++) {
    int64_t count = cnn_dataset_count(sets[0], split);
    assert_int_equal(count, cnn_dataset_count(sets[1], split));
    for (int64_t i = 0; i < count; i++) {
      assert_memory_equal(dataset_pixels(sets[0], split, i), dataset_pixels(sets[1], split, i), 16);
      assert_int_equal(dataset_label(sets[0], split, i), dataset_label(sets[1], split, i));
    }
  }
  cnn_dataset_free(sets[0]);
  cnn_dataset_free(sets[1]);
}

static void test_folder_with_splits(void **state) {
  (void)state;
  const char *path = new_folder(in_scratch("splits"));
  static const char *const folders[] = {"train",    "train/cat", "train/dog", "test",
                                        "test/dog", "val",       "val/cat"};
  for (int i = 0; i < 7; i++) new_folder(in_scratch("splits/%s", folders[i]));
  put_picture(in_scratch("splits/train/cat/1.png"), 1);
  put_picture(in_scratch("splits/train/cat/2.png"), 2);
  put_picture(in_scratch("splits/train/dog/3.png"), 3);
  put_picture(in_scratch("splits/test/dog/4.png"), 4);
  cnn_dataset *set = open_set(path, NULL);
  assert_image(set, 1, 4, 4);
  assert_int_equal(cnn_dataset_classes(set), 2);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TRAIN), 3);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TEST), 1);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(dataset_pixels(set, CNN_SPLIT_TRAIN, i)[0], i + 1);
    assert_int_equal(dataset_label(set, CNN_SPLIT_TRAIN, i), i == 2);
  }
  assert_int_equal(dataset_pixels(set, CNN_SPLIT_TEST, 0)[0], 4);
  assert_int_equal(dataset_label(set, CNN_SPLIT_TEST, 0), 1);
  cnn_dataset_free(set);
  new_folder(in_scratch("splits/test/fox"));
  put_picture(in_scratch("splits/test/fox/5.png"), 5);
  assert_refused(CNN_E_DATA, path, "test/fox' has no class of its name to train on");
  assert_int_equal(rename(in_scratch("splits/test"), in_scratch("splits/tests")), 0);
  assert_refused(CNN_E_DATA, path, "has train/ with classes in it, but no such test/: both are needed");
}

/* A class may be called train. */
static void test_class_named_train(void **state) {
  (void)state;
  const char *path = new_folder(in_scratch("vehicles"));
  new_folder(in_scratch("vehicles/train"));
  new_folder(in_scratch("vehicles/car"));
  put_picture(in_scratch("vehicles/train/1.png"), 1);
  put_picture(in_scratch("vehicles/car/2.png"), 2);
  cnn_dataset *set = open_set(path, NULL);
  assert_int_equal(cnn_dataset_classes(set), 2);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TRAIN), 2);
  cnn_dataset_free(set);
}

static void test_wrong_folders(void **state) {
  (void)state;
  const char *path = new_folder(in_scratch("wrong"));
  assert_refused(CNN_E_DATA, path, "has no sub-folders: make one for each class");
  put_picture(in_scratch("wrong/1.png"), 1);
  assert_refused(CNN_E_DATA, path, "has no sub-folders");
  new_folder(in_scratch("wrong/class"));
  assert_refused(CNN_E_DATA, path, "wrong/class' has no images: put .png, .jpg or .jpeg files into it");
  put_bytes(in_scratch("wrong/class/note.txt"), "x", 1);
  assert_refused(CNN_E_DATA, path, "has no images");
  put_picture(in_scratch("wrong/class/1.png"), 1);
  put_bytes(in_scratch("wrong/class/2.png"), "not a picture", 13);
  assert_refused(CNN_E_FORMAT, path, "wrong/class/2.png' is neither PNG nor JPEG");
  assert_int_equal(unlink(in_scratch("wrong/class/2.png")), 0);
  assert_int_equal(symlink("nowhere", in_scratch("wrong/class/3.jpg")), 0);
  assert_refused(CNN_E_IO, path, "wrong/class/3.jpg' cannot be opened: No such file");
}

/* ------------------------------------------------------------------ no memory */

/* Each allocation fails in turn, until none is left. Returns how many there are. */
static long fail_each(const char *source) {
  for (long successes = 0;; successes++) {
    cnn_dataset *set = NULL;
    long before = mem_count();
    mem_fail_after(successes);
    cnn_status status = cnn_dataset_open(source, NULL, &set);
    mem_fail_after(-1);
    bool failed = mem_count() - before > successes;
    if (status == CNN_OK)
      cnn_dataset_free(set);
    else {
      assert_int_equal(status, CNN_E_MEMORY);
      assert_why("out of memory");
      assert_null(set);
    }
    if (!failed) {
      assert_int_equal(status, CNN_OK);
      return successes;
    }
  }
}

static void test_no_memory(void **state) {
  (void)state;
  put_pair();
  assert_true(fail_each(pair()) >= 10);
  new_folder(in_scratch("small"));
  new_folder(in_scratch("small/a"));
  new_folder(in_scratch("small/b"));
  for (int i = 0; i < 3; i++) put_picture(in_scratch("small/a/%d.png", i), 1);
  put_picture(in_scratch("small/b/1.png"), 2);
  assert_true(fail_each(in_scratch("small")) >= 40);
}

/* ------------------------------------------------------------------ the real ones */

/* Labels and means as the literature has them: 5 0 4 1 9; 0.1307 and 0.2860 are the usual constants of
 * MNIST's and Fashion-MNIST's normalisation. */
static void check_real(const char *name, const int32_t *first, double mean, const char *class_9) {
  cnn_dataset *set;
  if (cnn_dataset_open(name, NULL, &set) != CNN_OK) {
    print_message("skipped: %s\n", cnn_why());
    skip();
  }
  assert_image(set, 1, 28, 28);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TRAIN), 60000);
  assert_int_equal(cnn_dataset_count(set, CNN_SPLIT_TEST), 10000);
  assert_int_equal(cnn_dataset_classes(set), 10);
  assert_string_equal(cnn_dataset_class(set, 9), class_9);
  for (int i = 0; i < 5; i++) assert_int_equal(dataset_label(set, CNN_SPLIT_TRAIN, i), first[i]);
  uint64_t sum = 0;
  const uint8_t *pixels = dataset_pixels(set, CNN_SPLIT_TRAIN, 0);
  for (int64_t i = 0; i < 60000 * 784; i++) sum += pixels[i];
  double found = (double)sum / (60000.0 * 784 * 255);
  assert_true(found > mean - 0.0001 && found < mean + 0.0001);
  assert_in_range(cnn_dataset_bytes(set), 70000 * 788, 70000 * 788 + 2000);
  cnn_dataset_free(set);
}

static void test_mnist(void **state) {
  (void)state;
  check_real("mnist", (const int32_t[]){5, 0, 4, 1, 9}, 0.1307, "9");
}

static void test_fashion_mnist(void **state) {
  (void)state;
  check_real("fashion-mnist", (const int32_t[]){9, 0, 0, 3, 0}, 0.2860, "ankle boot");
}

/* ------------------------------------------------------------------ random images */

static void test_random(void **state) {
  (void)state;
  cnn_dataset *a, *b, *other;
  assert_int_equal(cnn_dataset_random((cnn_shape){50, 3, 5, 7}, 4, 6, 1, &a), CNN_OK);
  assert_int_equal(cnn_dataset_random((cnn_shape){50, 3, 5, 7}, 4, 6, 1, &b), CNN_OK);
  assert_int_equal(cnn_dataset_random((cnn_shape){50, 3, 5, 7}, 4, 6, 2, &other), CNN_OK);
  assert_image(a, 3, 5, 7);
  assert_int_equal(cnn_dataset_classes(a), 6);
  assert_int_equal(cnn_dataset_count(a, CNN_SPLIT_TRAIN), 50);
  assert_int_equal(cnn_dataset_count(a, CNN_SPLIT_TEST), 4);
  assert_memory_equal(a->part[0].pixels, b->part[0].pixels, 50 * 105);
  assert_memory_equal(a->part[0].labels, b->part[0].labels, 50 * sizeof(int32_t));
  assert_memory_not_equal(a->part[0].pixels, other->part[0].pixels, 50 * 105);
  assert_memory_not_equal(a->part[0].pixels, a->part[1].pixels, 4 * 105);
  int seen[6] = {0};
  for (int64_t i = 0; i < 50; i++) {
    int32_t label = dataset_label(a, CNN_SPLIT_TRAIN, i);
    assert_in_range(label, 0, 5);
    seen[label]++;
  }
  for (int i = 0; i < 6; i++) assert_true(seen[i] > 0);
  cnn_dataset_free(a);
  cnn_dataset_free(b);
  cnn_dataset_free(other);
  assert_fails(CNN_E_SHAPE, cnn_dataset_random((cnn_shape){0, 1, 2, 2}, 1, 2, 1, &a), "");
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_random((cnn_shape){1, 1, 2, 2}, 0, 2, 1, &a), "test is 0");
  assert_fails(CNN_E_ARGUMENT, cnn_dataset_random((cnn_shape){1, 1, 2, 2}, 1, 0, 1, &a), "classes is 0");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_options),
      cmocka_unit_test(test_unknown_sources),
      cmocka_unit_test(test_not_fetched),
      cmocka_unit_test(test_idx_pair_is_split),
      cmocka_unit_test(test_split_stays_as_it_is),
      cmocka_unit_test(test_split_keeps_one),
      cmocka_unit_test(test_idx_four_files),
      cmocka_unit_test(test_idx_that_do_not_fit),
      cmocka_unit_test(test_read),
      cmocka_unit_test(test_folder),
      cmocka_unit_test(test_folder_order),
      cmocka_unit_test(test_folder_with_splits),
      cmocka_unit_test(test_class_named_train),
      cmocka_unit_test(test_wrong_folders),
      cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_random),
      cmocka_unit_test(test_mnist),
      cmocka_unit_test(test_fashion_mnist),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
