/* Pictures: a rectangle of colours, images and text put on it, several joined to one. What they show is made
 * by sheet.c and explain.c; a PNG file of it by io/picture.c. */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "see/see.h"

struct cnn_picture {
  cnn_tensor pixels;
};

enum { MOST_PIXELS = 1 << 26 };

cnn_status cnn_picture_new(int64_t h, int64_t w, float grey, cnn_picture **out) {
  if (h < 1 || w < 1 || h > MOST_PIXELS || w > MOST_PIXELS || h * w > MOST_PIXELS)
    return CNN_FAIL(CNN_E_SHAPE,
                    "a picture of %" PRId64 "x%" PRId64
                    " pixels; it may have up to %d in all: show less, or smaller",
                    h, w, MOST_PIXELS);
  size_t bytes = (size_t)(3 * h * w) * sizeof(float);
  cnn_picture *picture = mem_zeroed(1, sizeof *picture);
  float *data = mem_alloc(bytes);
  if (!picture || !data) {
    mem_free(picture);
    mem_free(data);
    return status_no_memory(bytes, "a picture");
  }
  for (int64_t i = 0; i < 3 * h * w; i++) data[i] = grey;
  picture->pixels = (cnn_tensor){data, {1, 3, h, w}};
  *out = picture;
  return CNN_OK;
}

void cnn_picture_free(cnn_picture *picture) {
  if (!picture) return;
  mem_free(picture->pixels.data);
  mem_free(picture);
}

cnn_tensor cnn_picture_pixels(const cnn_picture *picture) { return picture->pixels; }

cnn_status cnn_picture_write(const cnn_picture *picture, const char *path) {
  cnn_tensor t = picture->pixels, grey = {t.data, {1, 1, t.shape.h, t.shape.w}};
  int64_t plane = t.shape.h * t.shape.w;
  size_t bytes = (size_t)plane * sizeof *t.data;
  bool is_grey = memcmp(t.data, t.data + plane, bytes) == 0 && memcmp(t.data, t.data + 2 * plane, bytes) == 0;
  return cnn_image_write(path, is_grey ? grey : t);
}

static bool inside(cnn_tensor t, int64_t y, int64_t x) {
  return y >= 0 && y < t.shape.h && x >= 0 && x < t.shape.w;
}

void cnn_picture_paste(cnn_picture *picture, cnn_tensor image, int64_t zoom, int64_t top, int64_t left) {
  cnn_tensor to = picture->pixels;
  for (int64_t c = 0; c < 3; c++)
    for (int64_t y = 0; y < image.shape.h * zoom; y++)
      for (int64_t x = 0; x < image.shape.w * zoom; x++)
        if (inside(to, top + y, left + x))
          *cnn_tensor_at(to, 0, c, top + y, left + x) =
              *cnn_tensor_at(image, 0, image.shape.c == 3 ? c : 0, y / zoom, x / zoom);
}

void cnn_picture_frame(cnn_picture *picture, int64_t top, int64_t left, int64_t h, int64_t w,
                       cnn_colour colour) {
  cnn_tensor to = picture->pixels;
  const float rgb[3] = {colour.red, colour.green, colour.blue};
  for (int64_t y = 0; y < h; y++)
    for (int64_t x = 0; x < w; x++)
      for (int64_t c = 0; c < 3; c++)
        if ((y == 0 || y == h - 1 || x == 0 || x == w - 1) && inside(to, top + y, left + x))
          *cnn_tensor_at(to, 0, c, top + y, left + x) = rgb[c];
}

/* ---- Text ---- */

/* Of the characters from ' ' to '~'. */
static const char *const glyphs[] = {
#define GLYPH(character, rows) rows,
#include "see/font.def"
#undef GLYPH
};

static float ink(char digit) { return (float)(digit <= '9' ? digit - '0' : digit - 'a' + 10) / 15; }

static void draw_glyph(cnn_tensor to, const char *rows, int64_t top, int64_t left, float grey) {
  for (int64_t y = 0; y < CNN_TEXT_HEIGHT; y++)
    for (int64_t x = 0; x < CNN_TEXT_WIDTH; x++) {
      float share = ink(rows[y * CNN_TEXT_WIDTH + x]);
      for (int64_t c = 0; c < 3 && inside(to, top + y, left + x); c++) {
        float *pixel = cnn_tensor_at(to, 0, c, top + y, left + x);
        *pixel += (grey - *pixel) * share;
      }
    }
}

/* Bytes of UTF-8 after the first of a character. */
static bool continues(char byte) { return ((unsigned char)byte & 0xc0) == 0x80; }

int64_t cnn_text_width(const char *text) {
  int64_t characters = 0;
  for (; *text; text++) characters += !continues(*text);
  return characters * CNN_TEXT_WIDTH;
}

void cnn_picture_text(cnn_picture *picture, const char *text, int64_t top, int64_t left, float grey) {
  for (; *text; text++) {
    if (continues(*text)) continue;
    char shown = *text >= ' ' && *text <= '~' ? *text : '?';
    draw_glyph(picture->pixels, glyphs[shown - ' '], top, left, grey);
    left += CNN_TEXT_WIDTH;
  }
}

/* ---- Several to one ---- */

cnn_status cnn_picture_join(cnn_picture *const *pictures, int count, bool across, cnn_picture **out) {
  int64_t h = 0, w = 0;
  for (int i = 0; i < count; i++) {
    cnn_shape s = pictures[i]->pixels.shape;
    h = across ? (s.h > h ? s.h : h) : h + s.h;
    w = across ? w + s.w : (s.w > w ? s.w : w);
  }
  cnn_picture *joined;
  CNN_TRY(cnn_picture_new(h, w, CNN_PAPER, &joined));
  for (int64_t i = 0, at = 0; i < count; i++) {
    cnn_picture_paste(joined, pictures[i]->pixels, 1, across ? 0 : at, across ? at : 0);
    at += across ? pictures[i]->pixels.shape.w : pictures[i]->pixels.shape.h;
  }
  *out = joined;
  return CNN_OK;
}
