/* Reading a data set that streams: images in batches, the next one decoded on other threads while the caller
 * computes on this one.
 *
 *     front  the batch at hand: all of it is there, or its failure is known
 *     back   the batch asked for ahead
 *
 * Each holds at most `room` images, so memory is bounded; what a batch holds depends on what was asked for
 * alone. Called by train/batch.c and statistics.c, from one thread at a time. */
#ifndef CNN_DATA_READER_H
#define CNN_DATA_READER_H

#include "data/dataset.h"

struct reader;

/* Which images: index[first] .., or first .. where index is NULL. */
struct request {
  cnn_split split;
  const int32_t *index;
  int64_t first, count;
};

/* threads: that decode beside the caller. Borrows the data set. */
cnn_status reader_new(const cnn_dataset *dataset, int64_t room, int threads, struct reader **reader);
void reader_free(struct reader *reader);
int64_t reader_bytes(const struct reader *reader); /* of its batches; 0 for NULL */

/* Make a batch the front. Fails where one of its images cannot be read: the sentence names the first such
 * file. The caller's thread helps. */
cnn_status reader_take(struct reader *reader, struct request request);

/* Start on the batch that will be taken next; it may be another one in the end. After reader_take(). */
void reader_ahead(struct reader *reader, struct request request);

/* Image n of the front, c*h*w bytes. */
const uint8_t *reader_pixels(const struct reader *reader, int64_t n);

#endif
