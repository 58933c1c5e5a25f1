/* cnn_image_encode() and cnn_image_write(): PNG through libpng; a file is written whole or not at all. */
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "core/memory.h"
#include "io/file.h"

struct writer {
  cnn_tensor image;
  uint8_t *bytes; /* [count of room]: the PNG so far */
  size_t count, room;
  png_structp png;
  png_infop info;
  uint8_t *row;
  cnn_status status; /* of a failure that has its sentence */
  jmp_buf leave;
};

static void on_error(png_structp png, png_const_charp text) {
  struct writer *writer = png_get_error_ptr(png);
  if (writer->status == CNN_OK)
    writer->status = CNN_FAIL(CNN_E_IO, "a PNG image cannot be written: %s", text);
  longjmp(writer->leave, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void write_bytes(png_structp png, png_bytep bytes, size_t count) {
  struct writer *writer = png_get_io_ptr(png);
  if (writer->room - writer->count < count) {
    size_t room = 2 * writer->room + count + 4096;
    uint8_t *grown = mem_resize(writer->bytes, room);
    if (!grown) {
      writer->status = status_no_memory(room, "a PNG image");
      png_error(png, "");
    }
    writer->bytes = grown;
    writer->room = room;
  }
  memcpy(writer->bytes + writer->count, bytes, count);
  writer->count += count;
}

static void flush(png_structp png) { (void)png; }

static uint8_t byte_of(float value) {
  return value > 0 ? (uint8_t)lroundf((value < 1 ? value : 1) * 255) : 0;
}

/* Returns by longjmp where it fails. */
static void write_image(struct writer *writer) {
  cnn_shape shape = writer->image.shape;
  png_set_write_fn(writer->png, writer, write_bytes, flush);
  png_set_IHDR(writer->png, writer->info, (png_uint_32)shape.w, (png_uint_32)shape.h, 8,
               shape.c == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_compression_level(writer->png, 9);
  png_write_info(writer->png, writer->info);
  for (int64_t y = 0; y < shape.h; y++) {
    for (int64_t x = 0; x < shape.w; x++)
      for (int64_t c = 0; c < shape.c; c++)
        writer->row[x * shape.c + c] = byte_of(*cnn_tensor_at(writer->image, 0, c, y, x));
    png_write_row(writer->png, writer->row);
  }
  png_write_end(writer->png, NULL);
}

static cnn_status encode(struct writer *writer) {
  size_t row = (size_t)(writer->image.shape.w * writer->image.shape.c);
  writer->row = mem_alloc(row);
  if (!writer->row) return status_no_memory(row, "a PNG image");
  if (setjmp(writer->leave) == 0) {
    writer->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, writer, on_error, on_warning);
    if (writer->png) writer->info = png_create_info_struct(writer->png);
    if (writer->info)
      write_image(writer);
    else
      writer->status = status_no_memory(0, "a PNG image");
  }
  png_destroy_write_struct(&writer->png, &writer->info);
  mem_free(writer->row);
  return writer->status;
}

enum { MOST_SIDE = 1000000 }; /* of libpng too */

cnn_status cnn_image_encode(cnn_tensor image, void **png, size_t *bytes) {
  cnn_shape shape = image.shape;
  *png = NULL;
  *bytes = 0;
  if (shape.n != 1 || (shape.c != 1 && shape.c != 3) || shape.h < 1 || shape.w < 1 || shape.h > MOST_SIDE ||
      shape.w > MOST_SIDE)
    return CNN_FAIL(
        CNN_E_SHAPE,
        "%lldx%lldx%lldx%lld is no picture: give one image of 1 or 3 channels, its sides at most 1000000",
        (long long)shape.n, (long long)shape.c, (long long)shape.h, (long long)shape.w);
  struct writer writer = {.image = image};
  cnn_status status = encode(&writer);
  if (status != CNN_OK) {
    mem_free(writer.bytes);
    return status;
  }
  *png = writer.bytes;
  *bytes = writer.count;
  return CNN_OK;
}

struct encoded {
  void *png;
  size_t bytes;
};

static cnn_status write_file(void *context, struct file_writer *file) {
  const struct encoded *encoded = context;
  return file_write(file, encoded->png, encoded->bytes);
}

cnn_status cnn_image_write(const char *path, cnn_tensor image) {
  struct encoded encoded;
  CNN_TRY(cnn_image_encode(image, &encoded.png, &encoded.bytes));
  cnn_status status = file_replace(path, write_file, &encoded);
  mem_free(encoded.png);
  return status;
}
