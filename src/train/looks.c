/* Test-time augmentation: an image is looked at in several ways, and the network's outputs (probabilities,
 * where the loss is of such) are averaged before the largest is taken.
 *
 * ten-crop is that of Krizhevsky, Sutskever and Hinton 2012, section 4.1: the four corners and the middle of
 * an image larger than the network's input, and their mirror images. */
#include "train/looks.h"

#include <string.h>

#include "core/text.h"

static cnn_status add(struct looks *looks, struct look look) {
  if (looks->count == MOST_LOOKS)
    return CNN_FAIL(CNN_E_ARGUMENT, "tta: more than %d looks at an image; ask for less", MOST_LOOKS);
  looks->look[looks->count++] = look;
  return CNN_OK;
}

static cnn_status add_flips(struct looks *looks) {
  for (int i = 0, count = looks->count; i < count; i++) {
    struct look look = looks->look[i];
    look.flip = !look.flip;
    CNN_TRY(add(looks, look));
  }
  return CNN_OK;
}

static cnn_status add_shifts(struct looks *looks, int64_t most) {
  for (int i = 0, count = looks->count; i < count; i++)
    for (int64_t dy = -most; dy <= most; dy++)
      for (int64_t dx = -most; dx <= most; dx++) {
        struct look look = looks->look[i];
        look.dy += dy;
        look.dx += dx;
        if (dy || dx) CNN_TRY(add(looks, look));
      }
  return CNN_OK;
}

static cnn_status add_crops(struct looks *looks, cnn_shape image, cnn_shape input) {
  int64_t top = (image.h - input.h) / 2, left = (image.w - input.w) / 2; /* of the middle */
  int64_t down = image.h - input.h - top, right = image.w - input.w - left;
  if (image.h == input.h || image.w == input.w)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "tta: ten-crop crops from images larger than the network's input; this model takes "
                    "%lldx%lld, its input is as large: train it with --augment crop=SIZE",
                    (long long)image.h, (long long)image.w);
  const struct look corner[4] = {{.down = -top, .right = -left},
                                 {.down = -top, .right = right},
                                 {.down = down, .right = -left},
                                 {.down = down, .right = right}};
  for (int i = 0, count = looks->count; i < count; i++)
    for (int k = 0; k < 4; k++) {
      struct look look = looks->look[i];
      look.down = corner[k].down;
      look.right = corner[k].right;
      CNN_TRY(add(looks, look));
    }
  return add_flips(looks);
}

static cnn_status read_word(const char *word, size_t length, cnn_shape image, cnn_shape input, bool seen[3],
                            struct looks *looks) {
  static const char *const names[] = {"flip", "ten-crop", "shift"};
  int which = 0;
  size_t name = strcspn(word, "= \t\n");
  while (which < 3 && !(strlen(names[which]) == name && memcmp(names[which], word, name) == 0)) which++;
  int shown = (int)(length < 60 ? length : 60);
  if (which == 3 || (which < 2 && name < length))
    return CNN_FAIL(CNN_E_KEY, "tta: '%.*s' is not known: give flip, shift=PIXELS or ten-crop", shown, word);
  if (seen[which] || (which == 0 && seen[1]) || (which == 1 && seen[0]))
    return CNN_FAIL(CNN_E_ARGUMENT, "tta: '%.*s': each is given once, and ten-crop has flip in it", shown,
                    word);
  seen[which] = true;
  if (which == 0) return add_flips(looks);
  if (which == 1) return add_crops(looks, image, input);
  int64_t most = 0;
  if (name == length || !text_to_integer(word + name + 1, length - name - 1, &most) || most < 1 || most > 5)
    return CNN_FAIL(CNN_E_ARGUMENT, "tta: '%.*s'; it must be shift=1 to shift=5", shown, word);
  return add_shifts(looks, most);
}

cnn_status looks_parse(const char *text, cnn_shape image, cnn_shape input, struct looks *looks) {
  static const char gap[] = " \t\n";
  struct looks result = {.count = 1};
  bool seen[3] = {false};
  for (const char *s = text ? text : ""; *(s += strspn(s, gap));) {
    size_t length = strcspn(s, gap);
    CNN_TRY(read_word(s, length, image, input, seen, &result));
    s += length;
  }
  *looks = result;
  return CNN_OK;
}
