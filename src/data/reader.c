/* See reader.h. */
#include "data/reader.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/threads.h"

enum { WHY = 2048 };

/* One batch. Under the workers' lock. */
struct half {
  uint8_t *pixels;
  int32_t *image; /* [count] */
  cnn_split split;
  int64_t count, next, done; /* images; the next to be claimed; those that are there */
  int64_t failed;            /* the first that cannot be read; count where all can so far */
  cnn_status status;
  char why[WHY];
};

struct reader {
  const cnn_dataset *dataset;
  int64_t room;
  void *memory;
  size_t bytes;
  struct half half[2];
  int front;
  bool stop;
  struct workers *workers;
};

static int64_t image_of(const struct request *request, int64_t n) {
  return request->index ? request->index[request->first + n] : request->first + n;
}

/* Claim an image of a half, decode it without the lock, and say so. False where there is none. */
static bool decode_one(struct reader *r, struct workers *workers, struct half *half) {
  if (half->next >= half->count) return false;
  int64_t n = half->next++;
  workers_unlock(workers);
  uint8_t *pixels = half->pixels + n * dataset_image_bytes(r->dataset);
  cnn_status status = dataset_load(r->dataset, half->split, half->image[n], pixels);
  workers_lock(workers);
  if (status != CNN_OK && n < half->failed) {
    half->failed = n;
    half->status = status;
    snprintf(half->why, WHY, "%s", cnn_why());
  }
  if (++half->done == half->count) workers_wake(workers);
  return true;
}

static void work(struct workers *workers, void *context) {
  struct reader *r = context;
  workers_lock(workers);
  while (!r->stop)
    if (!decode_one(r, workers, &r->half[r->front]) && !decode_one(r, workers, &r->half[1 - r->front]))
      workers_wait(workers);
  workers_unlock(workers);
}

static bool is_asked(const struct half *half, const struct request *request) {
  if (half->split != request->split || half->count != request->count) return false;
  for (int64_t n = 0; n < half->count; n++)
    if (half->image[n] != image_of(request, n)) return false;
  return true;
}

static void ask(struct half *half, const struct request *request) {
  assert(half->done == half->count);
  half->split = request->split;
  half->count = half->failed = request->count;
  half->next = half->done = 0;
  half->status = CNN_OK;
  for (int64_t n = 0; n < half->count; n++) half->image[n] = (int32_t)image_of(request, n);
}

/* Nothing more of it is begun; what is being decoded ends. */
static void abandon(struct reader *r, struct half *half) {
  half->count = half->next;
  while (half->done < half->count) workers_wait(r->workers);
}

cnn_status reader_take(struct reader *r, struct request request) {
  assert(request.count <= r->room);
  workers_lock(r->workers);
  struct half *back = &r->half[1 - r->front];
  if (is_asked(back, &request)) {
    r->front = 1 - r->front;
  } else {
    abandon(r, back);
    ask(&r->half[r->front], &request);
    workers_wake(r->workers);
  }
  struct half *front = &r->half[r->front];
  while (front->done < front->count)
    if (!decode_one(r, r->workers, front)) workers_wait(r->workers);
  cnn_status status = front->status;
  workers_unlock(r->workers);
  return status == CNN_OK ? CNN_OK : CNN_FAIL(status, "%s", front->why);
}

void reader_ahead(struct reader *r, struct request request) {
  if (request.count < 1) return;
  workers_lock(r->workers);
  ask(&r->half[1 - r->front], &request);
  workers_wake(r->workers);
  workers_unlock(r->workers);
}

const uint8_t *reader_pixels(const struct reader *r, int64_t n) {
  return r->half[r->front].pixels + n * dataset_image_bytes(r->dataset);
}

void reader_free(struct reader *r) {
  if (!r) return;
  if (r->workers) {
    workers_lock(r->workers);
    r->stop = true;
    for (int i = 0; i < 2; i++) r->half[i].next = r->half[i].count;
    workers_wake(r->workers);
    workers_unlock(r->workers);
    workers_free(r->workers);
  }
  mem_pages_free(r->memory, r->bytes);
  mem_free(r);
}

int64_t reader_bytes(const struct reader *r) { return r ? (int64_t)r->bytes : 0; }

/* pixels of front | pixels of back | numbers of front | numbers of back */
static cnn_status set_up(struct reader *r, int threads) {
  size_t pixels = ((size_t)r->room * (size_t)dataset_image_bytes(r->dataset) + 63) / 64 * 64;
  r->bytes = 2 * (pixels + (size_t)r->room * sizeof *r->half->image);
  uint8_t *memory = r->memory = mem_pages(r->bytes);
  if (!memory) return status_no_memory(r->bytes, "reading images ahead");
  for (int i = 0; i < 2; i++) {
    r->half[i].pixels = memory + (size_t)i * pixels;
    r->half[i].image = (int32_t *)(void *)(memory + 2 * pixels) + (int64_t)i * r->room;
  }
  r->workers = workers_new(threads, work, r);
  return r->workers ? CNN_OK : status_no_memory(0, "threads that read images");
}

cnn_status reader_new(const cnn_dataset *dataset, int64_t room, int threads, struct reader **reader) {
  struct reader *r = mem_zeroed(1, sizeof *r);
  if (!r) return status_no_memory(sizeof *r, "reading images ahead");
  r->dataset = dataset;
  r->room = room;
  cnn_status status = set_up(r, threads);
  if (status == CNN_OK)
    *reader = r;
  else
    reader_free(r);
  return status;
}
