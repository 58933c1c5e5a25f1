/* JPEG files through libjpeg: 8 bits, grey or colour, no messages printed; what the library would only
 * warn of, a picture that is cut short or damaged, is an error. images.h declares jpeg_decode(); images.c
 * calls it.
 *
 * libjpeg leaves an error by longjmp: what must outlive that lies in struct reader. */
#include <setjmp.h>
#include <stdio.h> /* before jpeglib.h, which needs it */

#include <jerror.h>
#include <jpeglib.h>
#include <string.h>

#include "core/memory.h"
#include "data/images.h"

enum { MOST_SCANS = 1000 };

struct reader {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  struct image image;
  uint8_t *line;     /* of a CMYK image */
  cnn_status status; /* of the failure */
  char *why;
  jmp_buf leave;
};

static _Noreturn void leave(struct reader *reader, cnn_status status) {
  reader->status = status;
  longjmp(reader->leave, 1);
}

static void on_error(j_common_ptr jpeg) {
  struct reader *reader = jpeg->client_data;
  char text[JMSG_LENGTH_MAX];
  if (reader->errors.msg_code == JERR_OUT_OF_MEMORY) leave(reader, status_no_memory(0, "a JPEG image"));
  reader->errors.format_message(jpeg, text);
  snprintf(reader->why, IMAGE_WHY, "%s", text);
  leave(reader, CNN_E_FORMAT);
}

/* Level -1 is a warning. These are harmless; the others are about pixels that are made up. */
static void on_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_ICC:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_TOO_MUCH_DATA: return;
    default: on_error(jpeg);
  }
}

/* A small progressive file can ask for any number of scans, each as slow as the image is large. */
static void on_progress(j_common_ptr jpeg) {
  struct reader *reader = jpeg->client_data;
  if (reader->jpeg.input_scan_number <= MOST_SCANS) return;
  snprintf(reader->why, IMAGE_WHY, "it has more than %d scans", (int)MOST_SCANS);
  leave(reader, CNN_E_FORMAT);
}

/* Cyan, magenta, yellow and black; Adobe's programs store them inverted. */
static void from_cmyk(const uint8_t *line, int64_t width, bool inverted, uint8_t *out) {
  for (int64_t x = 0; x < width; x++, line += 4) {
    unsigned black = inverted ? line[3] : 255U - line[3];
    for (int k = 0; k < 3; k++) {
      unsigned ink = inverted ? line[k] : 255U - line[k];
      out[3 * x + k] = (uint8_t)((ink * black + 127) / 255);
    }
  }
}

/* All of the file. Returns by longjmp where it is not right. */
static void read_image(struct reader *reader, const uint8_t *file, size_t size) {
  struct jpeg_decompress_struct *jpeg = &reader->jpeg;
  struct image *image = &reader->image;
  jpeg_create_decompress(jpeg);
  jpeg->progress = &reader->progress;
  reader->progress.progress_monitor = on_progress;
  jpeg_mem_src(jpeg, file, (unsigned long)size);
  jpeg_read_header(jpeg, TRUE);
  bool grey = jpeg->jpeg_color_space == JCS_GRAYSCALE;
  bool cmyk = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
  jpeg->out_color_space = grey ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
  jpeg->dct_method = JDCT_ISLOW; /* the one that gives the same bytes everywhere */
  *image = (struct image){.w = jpeg->image_width, .h = jpeg->image_height, .c = grey ? 1 : 3};
  cnn_status status = image_reserve(image, reader->why);
  if (status != CNN_OK) leave(reader, status);
  if (cmyk) {
    reader->line = mem_zeroed((size_t)image->w, 4);
    if (!reader->line) leave(reader, status_no_memory((size_t)image->w * 4, "a JPEG image"));
  }
  jpeg_start_decompress(jpeg);
  while (jpeg->output_scanline < jpeg->output_height) {
    uint8_t *out = image->pixels + (size_t)jpeg->output_scanline * (size_t)(image->w * image->c);
    uint8_t *line = cmyk ? reader->line : out;
    if (jpeg_read_scanlines(jpeg, &line, 1) != 1) {
      snprintf(reader->why, IMAGE_WHY, "its lines end early");
      leave(reader, CNN_E_FORMAT);
    }
    if (cmyk) from_cmyk(line, image->w, jpeg->saw_Adobe_marker, out);
  }
  jpeg_finish_decompress(jpeg);
}

cnn_status jpeg_decode(const uint8_t *file, size_t size, struct image *image, char *why) {
  struct reader reader = {.why = why};
  reader.jpeg.err = jpeg_std_error(&reader.errors);
  reader.jpeg.client_data = &reader;
  reader.errors.error_exit = on_error;
  reader.errors.emit_message = on_message;
  if (setjmp(reader.leave) == 0) read_image(&reader, file, size);
  jpeg_destroy_decompress(&reader.jpeg);
  mem_free(reader.line);
  if (reader.status == CNN_OK)
    *image = reader.image;
  else
    image_free(&reader.image);
  return reader.status;
}
