/* See safetensors.h. Nothing of a file is believed before it has been checked, and nothing that a
 * file says makes this allocate more than a fixed multiple of the file's own size. */
#include "io/safetensors.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/file.h"
#include "io/json.h"

enum {
  LENGTH_BYTES = 8,
  HEADER_MOST = 100000000, /* as in the reference implementation */
  HEADER_DEPTH = 3         /* the file, a tensor, its shape */
};

struct safetensors {
  json_t *header; /* owns the names and the metadata */
  unsigned char *data;
  struct safetensor *tensors;
  int count;
};

static const struct {
  const char *name;
  int bits;
} types[] = {{"BOOL", 8}, {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
             {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
             {"U16", 16}, {"F16", 16},    {"BF16", 16},   {"I32", 32},    {"U32", 32},
             {"F32", 32}, {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};

struct safetensors_shape safetensors_shape(int dims, const int64_t *dim) {
  struct safetensors_shape shape;
  size_t length = 0;
  shape.text[length++] = '[';
  for (int i = 0; i < dims; i++)
    length += (size_t)snprintf(shape.text + length, 23, "%s%lld", i ? "," : "", (long long)dim[i]);
  memcpy(shape.text + length, "]", 2);
  return shape;
}

/* ---- Reading: the header ---- */

static cnn_status read_shape(const char *name, const json_t *shape, struct safetensor *tensor) {
  if (!json_is_array(shape) || json_array_size(shape) > SAFETENSORS_DIMS)
    return CNN_FAIL(CNN_E_FORMAT, "tensor '%s': \"shape\" is not an array of at most %d dimensions",
                    io_shown(name).text, SAFETENSORS_DIMS);
  tensor->dims = (int)json_array_size(shape);
  tensor->count = 1;
  for (int i = 0; i < tensor->dims; i++) {
    const json_t *dim = json_array_get(shape, (size_t)i);
    if (!json_is_integer(dim) || json_integer_value(dim) < 0)
      return CNN_FAIL(CNN_E_FORMAT, "tensor '%s': dimension %d of its shape is not a whole number >= 0",
                      io_shown(name).text, i);
    tensor->dim[i] = json_integer_value(dim);
    if (__builtin_mul_overflow(tensor->count, tensor->dim[i], &tensor->count))
      return CNN_FAIL(CNN_E_FORMAT, "tensor '%s': its shape has more elements than a file can hold",
                      io_shown(name).text);
  }
  return CNN_OK;
}

static cnn_status read_offsets(const char *name, const json_t *offsets, struct safetensor *tensor) {
  const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
  if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
      json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
    return CNN_FAIL(CNN_E_FORMAT, "tensor '%s': \"data_offsets\" is not [begin, end] with 0 <= begin <= end",
                    io_shown(name).text);
  tensor->begin = json_integer_value(begin);
  tensor->end = json_integer_value(end);
  return CNN_OK;
}

static cnn_status read_tensor(const char *name, const json_t *entry, struct safetensor *tensor) {
  static const char *const keys[] = {"dtype", "shape", "data_offsets"};
  for (int i = 0; i < 3; i++)
    if (!json_object_get(entry, keys[i]) || json_object_size(entry) != 3)
      return CNN_FAIL(CNN_E_FORMAT,
                      "tensor '%s': its entry is not an object of \"dtype\", \"shape\" and "
                      "\"data_offsets\"",
                      io_shown(name).text);

  const char *type = json_string_value(json_object_get(entry, "dtype"));
  int bits = 0;
  for (size_t i = 0; type && i < sizeof types / sizeof *types; i++)
    if (strcmp(type, types[i].name) == 0) {
      tensor->type = types[i].name;
      bits = types[i].bits;
    }
  if (bits == 0)
    return CNN_FAIL(CNN_E_FORMAT, "tensor '%s': \"dtype\" is %s%s%s, which is no type of the format",
                    io_shown(name).text, type ? "'" : "", type ? io_shown(type).text : "not a string",
                    type ? "'" : "");
  tensor->name = name;
  CNN_TRY(read_shape(name, json_object_get(entry, "shape"), tensor));
  CNN_TRY(read_offsets(name, json_object_get(entry, "data_offsets"), tensor));

  int64_t size;
  bool fits = !__builtin_mul_overflow(tensor->count, bits, &size) && size % 8 == 0;
  if (!fits || size / 8 != tensor->end - tensor->begin)
    return CNN_FAIL(CNN_E_FORMAT, "tensor '%s': %s of shape %s do not make the %lld bytes of its offsets",
                    io_shown(name).text, tensor->type, safetensors_shape(tensor->dims, tensor->dim).text,
                    (long long)(tensor->end - tensor->begin));
  return CNN_OK;
}

static cnn_status check_metadata(json_t *metadata) {
  const char *key;
  json_t *value;
  if (!json_is_object(metadata)) return CNN_FAIL(CNN_E_FORMAT, "\"__metadata__\" is not an object");
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value))
      return CNN_FAIL(CNN_E_FORMAT, "\"__metadata__\": the value of '%s' is not a string",
                      io_shown(key).text);
  }
  return CNN_OK;
}

static int by_place(const void *left, const void *right) {
  const struct safetensor *a = left, *b = right;
  if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
  return a->end < b->end ? -1 : a->end > b->end;
}

static int by_name(const void *left, const void *right) {
  return strcmp(((const struct safetensor *)left)->name, ((const struct safetensor *)right)->name);
}

/* That the tensors tile the data: no overlap, no hole. *size: where the last one ends. */
static cnn_status check_tiling(struct safetensors *file, int64_t *size) {
  qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_place);
  int64_t end = 0;
  for (int i = 0; i < file->count; i++) {
    const struct safetensor *tensor = &file->tensors[i];
    if (tensor->begin != end)
      return CNN_FAIL(CNN_E_FORMAT,
                      "tensor '%s' begins at byte %lld of the data, but %s ends at byte %lld: %s",
                      io_shown(tensor->name).text, (long long)tensor->begin,
                      i ? "the one before it" : "nothing before it", (long long)end,
                      tensor->begin < end ? "they overlap" : "there is a hole");
    end = tensor->end;
  }
  *size = end;
  return CNN_OK;
}

static cnn_status parse_header(struct safetensors *file, const char *text, size_t length, int64_t *size) {
  if (text[0] != '{') return CNN_FAIL(CNN_E_FORMAT, "the header does not begin with '{'");
  CNN_TRY(io_json_read(text, length, HEADER_DEPTH, &file->header));

  size_t entries = json_object_size(file->header);
  file->tensors = mem_zeroed(entries, sizeof *file->tensors);
  if (!file->tensors) return status_no_memory(entries * sizeof *file->tensors, "the list of tensors");
  const char *name;
  json_t *entry;
  json_object_foreach(file->header, name, entry) {
    if (strcmp(name, "__metadata__") == 0)
      CNN_TRY(check_metadata(entry));
    else
      CNN_TRY(read_tensor(name, entry, &file->tensors[file->count++]));
  }
  return check_tiling(file, size);
}

/* ---- Reading: the file ---- */

static cnn_status read_header(struct safetensors *file, struct file_reader *reader, int64_t *size) {
  unsigned char bytes[LENGTH_BYTES];
  CNN_TRY(file_read(reader, bytes, sizeof bytes));
  uint64_t length = 0;
  for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | bytes[i];
  if (length < 2 || length > HEADER_MOST)
    return CNN_FAIL(CNN_E_FORMAT,
                    "%s: not a safetensors file: it begins with a header length of %llu bytes, "
                    "and 2 to %d were expected",
                    reader->path, (unsigned long long)length, HEADER_MOST);
  if (reader->size >= 0 && length > (uint64_t)(reader->size - LENGTH_BYTES))
    return CNN_FAIL(CNN_E_FORMAT,
                    "%s: its header is to have %llu bytes, but the file has %lld in all: not a "
                    "safetensors file, or cut short",
                    reader->path, (unsigned long long)length, (long long)reader->size);

  char *text = mem_alloc(length);
  if (!text) return status_no_memory(length, "the header of a safetensors file");
  cnn_status status = file_read(reader, text, length);
  if (status == CNN_OK) {
    status = parse_header(file, text, length, size);
    if (status == CNN_E_FORMAT) status_prefix("%s: safetensors header: ", reader->path);
  }
  mem_free(text);
  return status;
}

/* Little-endian bytes to this machine's floats, in place; on most machines the compiler leaves nothing. */
static void decode(unsigned char *bytes, int64_t count) {
  for (int64_t i = 0; i < count; i++, bytes += 4) {
    uint32_t word =
        (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    memcpy(bytes, &word, 4);
  }
}

static void encode(unsigned char *bytes, int64_t count) {
  for (int64_t i = 0; i < count; i++, bytes += 4) {
    uint32_t word;
    memcpy(&word, bytes, 4);
    for (int k = 0; k < 4; k++) bytes[k] = (unsigned char)(word >> 8 * k);
  }
}

static cnn_status read_data(struct safetensors *file, struct file_reader *reader, int64_t size) {
  if (reader->size >= 0 && reader->size - reader->read != size)
    return CNN_FAIL(CNN_E_FORMAT,
                    "%s: its tensors take %lld bytes after the header, but the file has %lld there: "
                    "it is %s",
                    reader->path, (long long)size, (long long)(reader->size - reader->read),
                    reader->size - reader->read < size ? "cut short" : "too long");
  if ((uint64_t)size > PTRDIFF_MAX) return status_no_memory(SIZE_MAX, "tensors");
  file->data = mem_alloc((size_t)size);
  if (!file->data) return status_no_memory((size_t)size, "tensors");
  CNN_TRY(file_read(reader, file->data, (size_t)size));
  CNN_TRY(file_read_end(reader));
  for (int i = 0; i < file->count; i++) {
    struct safetensor *tensor = &file->tensors[i];
    if (strcmp(tensor->type, "F32") != 0 || tensor->begin % 4 != 0) continue;
    decode(file->data + tensor->begin, tensor->count);
    tensor->values = (const float *)(const void *)(file->data + tensor->begin);
  }
  qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_name);
  return CNN_OK;
}

cnn_status safetensors_read(const char *path, struct safetensors **file) {
  struct safetensors *read = mem_zeroed(1, sizeof *read);
  if (!read) return status_no_memory(sizeof *read, "a safetensors file");
  struct file_reader reader;
  cnn_status status = file_open(path, &reader);
  if (status == CNN_OK) {
    int64_t size = 0;
    status = read_header(read, &reader, &size);
    if (status == CNN_OK) status = read_data(read, &reader, size);
    file_close(&reader);
  }
  if (status == CNN_OK)
    *file = read;
  else
    safetensors_free(read);
  return status;
}

void safetensors_free(struct safetensors *file) {
  if (!file) return;
  json_decref(file->header);
  mem_free(file->data);
  mem_free(file->tensors);
  mem_free(file);
}

int safetensors_count(const struct safetensors *file) { return file->count; }

const struct safetensor *safetensors_get(const struct safetensors *file, int index) {
  return &file->tensors[index];
}

const struct safetensor *safetensors_find(const struct safetensors *file, const char *name) {
  struct safetensor key = {.name = name};
  return bsearch(&key, file->tensors, (size_t)file->count, sizeof key, by_name);
}

const char *safetensors_metadata(const struct safetensors *file, const char *key) {
  return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

/* ---- Writing ---- */

struct job {
  struct text head; /* with the length before it */
  const struct safetensor *tensors;
  int count;
  int64_t largest; /* elements of the largest tensor */
  safetensors_fill *fill;
  void *context;
};

static cnn_status count_elements(const struct safetensor *tensor, int64_t *count) {
  *count = 1;
  for (int i = 0; i < tensor->dims; i++)
    if (tensor->dim[i] < 0 || __builtin_mul_overflow(*count, tensor->dim[i], count))
      return CNN_FAIL(CNN_E_SHAPE, "tensor '%s': a shape of %s cannot be written", tensor->name,
                      safetensors_shape(tensor->dims, tensor->dim).text);
  return CNN_OK;
}

static cnn_status make_head(struct job *job, const struct safetensors_note *notes, int note_count) {
  struct text *head = &job->head;
  text_add_bytes(head, "\0\0\0\0\0\0\0", LENGTH_BYTES);
  text_add(head, "{\"__metadata__\":{");
  for (int i = 0; i < note_count; i++) {
    if (i) text_add(head, ",");
    io_json_quote(head, notes[i].key);
    text_add(head, ":");
    io_json_quote(head, notes[i].value);
  }
  text_add(head, "}");
  int64_t end = 0;
  for (int i = 0; i < job->count; i++) {
    const struct safetensor *tensor = &job->tensors[i];
    int64_t count, begin = end;
    CNN_TRY(count_elements(tensor, &count));
    if (count > job->largest) job->largest = count;
    if (__builtin_mul_overflow(count, 4, &count) || __builtin_add_overflow(end, count, &end))
      return CNN_FAIL(CNN_E_SHAPE, "tensor '%s': the file would be too long", tensor->name);
    text_add(head, ",");
    io_json_quote(head, tensor->name);
    text_add(head, ":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%lld,%lld]}",
             safetensors_shape(tensor->dims, tensor->dim).text, (long long)begin, (long long)end);
  }
  text_add(head, "}");
  if (!head->failed) text_add(head, "%*s", (int)(-head->length & 7), "");
  if (head->failed) return status_no_memory(head->size, "the header of a safetensors file");

  uint64_t length = head->length - LENGTH_BYTES;
  if (length > HEADER_MOST)
    return CNN_FAIL(CNN_E_ARGUMENT, "a safetensors header of %llu bytes is too long: at most %d are allowed",
                    (unsigned long long)length, HEADER_MOST);
  for (int i = 0; i < LENGTH_BYTES; i++) head->data[i] = (char)(length >> 8 * i);
  return CNN_OK;
}

static cnn_status write_job(void *context, struct file_writer *writer) {
  const struct job *job = context;
  float *values = mem_zeroed((size_t)job->largest, sizeof *values);
  if (!values) return status_no_memory((size_t)job->largest * sizeof *values, "a copy of a tensor");
  cnn_status status = file_write(writer, job->head.data, job->head.length);
  for (int i = 0; status == CNN_OK && i < job->count; i++) {
    int64_t count;
    status = count_elements(&job->tensors[i], &count);
    if (status == CNN_OK) status = job->fill(job->context, &job->tensors[i], count, values);
    if (status != CNN_OK) break;
    encode((unsigned char *)values, count);
    status = file_write(writer, values, (size_t)count * sizeof *values);
  }
  mem_free(values);
  return status;
}

cnn_status safetensors_write(const char *path, const struct safetensors_note *notes, int note_count,
                             const struct safetensor *tensors, int tensor_count, safetensors_fill *fill,
                             void *context) {
  struct job job = {{0}, tensors, tensor_count, 0, fill, context};
  cnn_status status = make_head(&job, notes, note_count);
  if (status == CNN_OK) status = file_replace(path, write_job, &job);
  text_free(&job.head);
  return status;
}
