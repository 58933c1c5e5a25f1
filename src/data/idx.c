/* See idx.h. */
#include "data/idx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "core/memory.h"

enum { TYPE_BYTES = 8, MOST_DIMS = 4 };

struct idx {
  const char *path;
  gzFile stream;       /* reads plain files as they are */
  bool packed;         /* gzip */
  int64_t file_bytes;  /* on disk */
  int64_t header_read; /* bytes read of the header so far */
  int rank;
  int64_t dim[MOST_DIMS];
  int64_t bytes; /* of all elements */
};

static const char *type_name(int type) {
  switch (type) {
    case 0x08: return "bytes";
    case 0x09: return "signed bytes";
    case 0x0B: return "16-bit integers";
    case 0x0C: return "32-bit integers";
    case 0x0D: return "floats";
    case 0x0E: return "doubles";
    default: return "no known type";
  }
}

static cnn_status open_file(const char *path, struct idx *idx) {
  struct stat info;
  unsigned char start[2];
  *idx = (struct idx){.path = path};
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return CNN_FAIL(CNN_E_IO, "'%s' cannot be opened: %s: give the path of an IDX file", path,
                    strerror(errno));
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(file);
    return CNN_FAIL(CNN_E_IO, "'%s' is not a file: give the path of an IDX file", path);
  }
  idx->file_bytes = info.st_size;
  idx->packed = pread(file, start, 2, 0) == 2 && start[0] == 0x1F && start[1] == 0x8B;
  idx->stream = gzdopen(file, "rb");
  if (!idx->stream) {
    close(file);
    return status_no_memory(0, "reading a file");
  }
  gzbuffer(idx->stream, 1 << 17);
  return CNN_OK;
}

/* Why a read got fewer bytes than it asked for; before names what had come before. */
static cnn_status short_read(const struct idx *idx, int64_t got, const char *of) {
  int error;
  const char *text = gzerror(idx->stream, &error);
  if (error == Z_MEM_ERROR) return status_no_memory(0, "uncompressing a file");
  if (error == Z_ERRNO)
    return CNN_FAIL(CNN_E_IO, "'%s' cannot be read: %s", idx->path, errno ? strerror(errno) : text);
  if (error == Z_DATA_ERROR || error == Z_STREAM_ERROR)
    return CNN_FAIL(CNN_E_FORMAT, "'%s': its gzip stream is damaged: fetch or copy it again", idx->path);
  return CNN_FAIL(CNN_E_FORMAT, "'%s' ends after %lld bytes of its %s: fetch or copy it again", idx->path,
                  (long long)got, of);
}

static cnn_status read_header_bytes(struct idx *idx, unsigned char *bytes, unsigned count) {
  errno = 0;
  int got = gzread(idx->stream, bytes, count);
  if (got == (int)count) {
    idx->header_read += count;
    return CNN_OK;
  }
  return short_read(idx, idx->header_read + (got > 0 ? got : 0), "header");
}

/* "60000 x 28 x 28" */
static const char *dims_text(const struct idx *idx, char *text, size_t size) {
  int length = 0;
  for (int i = 0; i < idx->rank; i++)
    length += snprintf(text + length, size - (size_t)length, i ? " x %lld" : "%lld", (long long)idx->dim[i]);
  return text;
}

/* The dimensions ask for as many bytes as the file has. A gzip stream tells its size only when read;
 * that deflate shrinks by a factor of at most 1032 is a bound. */
static cnn_status check_size(const struct idx *idx) {
  char dims[MOST_DIMS * 16];
  dims_text(idx, dims, sizeof dims);
  int64_t held = idx->file_bytes - idx->header_read;
  if (idx->packed) {
    if (idx->bytes / 1032 <= idx->file_bytes) return CNN_OK;
    return CNN_FAIL(
        CNN_E_FORMAT,
        "'%s': its header asks for %s = %lld bytes, more than its %lld compressed bytes can hold: "
        "fetch or copy it again",
        idx->path, dims, (long long)idx->bytes, (long long)idx->file_bytes);
  }
  if (idx->bytes == held) return CNN_OK;
  return CNN_FAIL(CNN_E_FORMAT,
                  "'%s' holds %lld bytes after its header, which asks for %s%s%lld: fetch or copy it again",
                  idx->path, (long long)held, idx->rank > 1 ? dims : "", idx->rank > 1 ? " = " : "",
                  (long long)idx->bytes);
}

static cnn_status check_magic(const struct idx *idx, const unsigned char *magic, const char *kind,
                              const char *ranks, int least, int most) {
  if (magic[0] != 0 || magic[1] != 0)
    return CNN_FAIL(
        CNN_E_FORMAT,
        "'%s' is not an IDX file: it starts with bytes %02x %02x %02x %02x, expected 00 00 08 %02x",
        idx->path, magic[0], magic[1], magic[2], magic[3], least);
  if (magic[2] != TYPE_BYTES)
    return CNN_FAIL(CNN_E_FORMAT,
                    "'%s': its elements are of type 0x%02x (%s), expected 0x08 (bytes): convert it to bytes",
                    idx->path, magic[2], type_name(magic[2]));
  if (magic[3] < least || magic[3] > most)
    return CNN_FAIL(CNN_E_FORMAT, "'%s' has %d dimensions, %s have %s: the order of files is images,labels",
                    idx->path, magic[3], kind, ranks);
  return CNN_OK;
}

static cnn_status read_header(struct idx *idx, const char *kind, const char *ranks, int least, int most) {
  unsigned char magic[4], dim[4];
  CNN_TRY(read_header_bytes(idx, magic, 4));
  CNN_TRY(check_magic(idx, magic, kind, ranks, least, most));
  idx->rank = magic[3];
  idx->bytes = 1;
  for (int i = 0; i < idx->rank; i++) {
    CNN_TRY(read_header_bytes(idx, dim, 4));
    idx->dim[i] = (int64_t)dim[0] << 24 | dim[1] << 16 | dim[2] << 8 | dim[3];
    if (idx->dim[i] == 0)
      return CNN_FAIL(CNN_E_FORMAT, "'%s': dimension %d of %d is 0, expected at least 1", idx->path, i + 1,
                      idx->rank);
    if (__builtin_mul_overflow(idx->bytes, idx->dim[i], &idx->bytes) || idx->bytes > PTRDIFF_MAX)
      return CNN_FAIL(CNN_E_FORMAT,
                      "'%s': its dimensions multiply to more bytes than fit in memory: the header is damaged",
                      idx->path);
  }
  return check_size(idx);
}

/* All elements, and nothing behind them. Reading on to the end also checks gzip's checksum. */
static cnn_status read_elements(struct idx *idx, uint8_t *bytes) {
  enum { CHUNK = 1 << 24 };
  unsigned char more;
  errno = 0;
  for (int64_t done = 0; done < idx->bytes;) {
    int64_t rest = idx->bytes - done;
    unsigned ask = rest < CHUNK ? (unsigned)rest : CHUNK;
    int got = gzread(idx->stream, bytes + done, ask);
    if (got > 0) done += got;
    if (got == (int)ask) continue;
    char of[64];
    snprintf(of, sizeof of, "%lld", (long long)idx->bytes);
    return short_read(idx, done, of);
  }
  int got = gzread(idx->stream, &more, 1), error;
  gzerror(idx->stream, &error);
  if (got == 0 && error == Z_OK) return CNN_OK;
  if (got <= 0) return short_read(idx, idx->bytes, "gzip stream");
  return CNN_FAIL(CNN_E_FORMAT,
                  "'%s' goes on after the %lld bytes its header asks for: fetch or copy it again", idx->path,
                  (long long)idx->bytes);
}

static cnn_status read_image_header(struct idx *idx) {
  return read_header(idx, "images", "3 (n, h, w) or 4 (n, c, h, w)", 3, 4);
}

cnn_status idx_check_images(const char *path) {
  struct idx idx;
  CNN_TRY(open_file(path, &idx));
  cnn_status status = read_image_header(&idx);
  gzclose(idx.stream);
  return status;
}

static cnn_status read_images(struct idx *idx, uint8_t **pixels) {
  CNN_TRY(read_image_header(idx));
  uint8_t *bytes = mem_pages((size_t)idx->bytes);
  if (!bytes) return status_no_memory((size_t)idx->bytes, "images");
  cnn_status status = read_elements(idx, bytes);
  if (status == CNN_OK)
    *pixels = bytes;
  else
    mem_pages_free(bytes, (size_t)idx->bytes);
  return status;
}

cnn_status idx_read_images(const char *path, uint8_t **pixels, cnn_shape *shape) {
  struct idx idx;
  CNN_TRY(open_file(path, &idx));
  cnn_status status = read_images(&idx, pixels);
  gzclose(idx.stream);
  if (status != CNN_OK) return status;
  const int64_t *dim = idx.dim;
  *shape =
      idx.rank == 3 ? (cnn_shape){dim[0], 1, dim[1], dim[2]} : (cnn_shape){dim[0], dim[1], dim[2], dim[3]};
  return CNN_OK;
}

/* The bytes are read into the end of the numbers' memory and widened in place. */
static cnn_status read_labels(struct idx *idx, int32_t **labels) {
  CNN_TRY(read_header(idx, "labels", "1", 1, 1));
  size_t count = (size_t)idx->bytes;
  int32_t *numbers = mem_zeroed(count, sizeof *numbers);
  if (!numbers) return status_no_memory(count * sizeof *numbers, "labels");
  uint8_t *bytes = (uint8_t *)numbers + count * (sizeof *numbers - 1);
  cnn_status status = read_elements(idx, bytes);
  if (status == CNN_OK) {
    for (size_t i = 0; i < count; i++) {
      int32_t label = bytes[i];
      memcpy(&numbers[i], &label, sizeof label);
    }
    *labels = numbers;
  } else {
    mem_free(numbers);
  }
  return status;
}

cnn_status idx_read_labels(const char *path, int32_t **labels, int64_t *count) {
  struct idx idx;
  CNN_TRY(open_file(path, &idx));
  cnn_status status = read_labels(&idx, labels);
  gzclose(idx.stream);
  if (status == CNN_OK) *count = idx.bytes;
  return status;
}
