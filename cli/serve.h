/* `cnn serve`: a page on which to draw, and what a network makes of it. Four parts:
 *   cmd_serve.c      options, the listening socket, the loop, Ctrl-C
 *   serve_http.c     connections, by libmicrohttpd; limits of size and time
 *   serve_request.c  which requests are answered, and what is wrong with the others
 *   serve_look.c     the network: pixels in, JSON out
 * All of it runs on one thread, so nothing here is locked. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cnn.h"

/* ---- serve_look.c ---- */

struct look;

/* Loads a model file and makes all the memory that answers take; NULL after saying why not. */
struct look *look_new(const char *path, int64_t threads);
void look_free(struct look *look);

cnn_shape look_image(const struct look *look); /* of one image: n is 1 */
int64_t look_bytes(const struct look *look);   /* of the body that carries one: c*h*w */
const cnn_net *look_net(const struct look *look);

/* Each gives a JSON text of *size bytes, to be freed by the caller; NULL where memory is out. bytes: an image
 * in the order c, h, w, a byte a value, 255 being 1. */
char *look_model(const struct look *look, size_t *size);                         /* what the page draws by */
char *look_predict(struct look *look, const unsigned char *bytes, size_t *size); /* probabilities */
char *look_inside(struct look *look, const unsigned char *bytes, size_t *size);  /* and maps, and saliency */

/* ---- serve_request.c ---- */

/* The files of cli/page/, made by cmake/embed-page.cmake; ended by a row with no path. */
struct page_file {
  const char *path, *type; /* "/page.js", "text/javascript; charset=utf-8" */
  const unsigned char *bytes;
  size_t size;
};
extern const struct page_file page_files[];

/* The line and the headers of a request; NULL where it has none. */
struct request {
  const char *method, *path, *host, *origin, *type, *length, *encoding;
};

enum route { ROUTE_FILE, ROUTE_MODEL, ROUTE_PREDICT, ROUTE_LOOK };

struct verdict {
  int status;        /* 200, or of the error */
  const char *allow; /* 405: the methods that there are */
  char why[160];     /* of an error: one sentence */
  enum route route;
  const struct page_file *file; /* ROUTE_FILE */
  bool takes_body;              /* of `bytes` bytes, see request_judge() */
};

/* own: the name or address that the server was told to listen on. bytes: what a body must have.
 *
 * Host must be an address, localhost or `own`: a page of another site whose name was made to lead here (DNS
 * rebinding) comes with that name. Where there is an Origin it must be that host. */
struct verdict request_judge(const struct request *request, const char *own, int64_t bytes);

/* ---- serve_http.c ---- */

struct server;

/* Answers what arrives at `listener`, a listening socket, which then is the server's. Borrows look and own.
 * NULL where memory is out. */
struct server *server_new(int listener, const char *own, struct look *look);
void server_free(struct server *server);

/* Waits until there is something to do, a second at most, with `while_waiting` as the signals that are held
 * back, and does it. */
void server_run(struct server *server, const sigset_t *while_waiting);

#endif
