/* Connections of `cnn serve`, by libmicrohttpd, run by hand from the loop of cmd_serve.c on its one thread.
 *
 * What is bounded: the connections at a time, the memory of each, the size of a body (known before any of it
 * is read), and the time that a request may take from its first byte, or from the end of the one before, to
 * the end of its answer. libmicrohttpd's own time limit begins anew with every byte, so connections have a
 * list here, and one that is late is shut. */
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "output.h"
#include "serve.h"

enum {
  MOST_CONNECTIONS = 256,
  HEAD_BYTES = 16 << 10, /* of memory for the line, the headers and the buffers of a connection */
  MOST_SECONDS = 10,
};

/* A connection. */
struct peer {
  struct peer *next, *before;
  int socket;
  double since; /* by now_seconds(): when its request began, or the one before ended */
};

/* A request that will be answered when all of it is there. */
struct call {
  struct verdict verdict;
  int64_t wanted, got; /* bytes of the body */
  unsigned char bytes[];
};

struct server {
  struct MHD_Daemon *daemon;
  struct look *look;
  const char *own;
  struct peer peers; /* the ring's head */
};

static enum MHD_Result give(struct MHD_Connection *connection, unsigned status, const char *type,
                            const char *allow, struct MHD_Response *response) {
  static const char *const headers[][2] = {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
       "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Cache-Control", "no-store"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
  };
  if (!response) return MHD_NO; /* closes the connection */
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
    MHD_add_response_header(response, headers[i][0], headers[i][1]);
  MHD_add_response_header(response, "Content-Type", type);
  if (allow) MHD_add_response_header(response, "Allow", allow);
  enum MHD_Result result = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return result;
}

/* json: of open_memstream(); taken over. */
static enum MHD_Result give_json(struct MHD_Connection *connection, unsigned status, const char *allow,
                                 char *json, size_t size) {
  if (!json) return MHD_NO;
  struct MHD_Response *response = MHD_create_response_from_buffer(size, json, MHD_RESPMEM_MUST_FREE);
  if (!response) free(json);
  return give(connection, status, "application/json", allow, response);
}

static enum MHD_Result give_error(struct MHD_Connection *connection, const struct verdict *verdict) {
  char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&text, &size);
  if (!file) return MHD_NO;
  struct json json = {file, false};
  json_open(&json, NULL, '{');
  json_string(&json, "error", verdict->why);
  json_close(&json, '}');
  fputc('\n', file);
  if (fclose(file) != 0) {
    free(text);
    return MHD_NO;
  }
  return give_json(connection, (unsigned)verdict->status, verdict->allow, text, size);
}

static enum MHD_Result give_file(struct MHD_Connection *connection, const struct page_file *file) {
  struct MHD_Response *response =
      MHD_create_response_from_buffer(file->size, (void *)(uintptr_t)file->bytes, MHD_RESPMEM_PERSISTENT);
  return give(connection, MHD_HTTP_OK, file->type, NULL, response);
}

/* The line and the headers are there. */
static enum MHD_Result begin(struct server *server, struct MHD_Connection *connection, const char *path,
                             const char *method, void **context) {
#define HEADER(name) MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name)
  struct request request = {.method = method,
                            .path = path,
                            .host = HEADER("Host"),
                            .origin = HEADER("Origin"),
                            .type = HEADER("Content-Type"),
                            .length = HEADER("Content-Length"),
                            .encoding = HEADER("Transfer-Encoding")};
#undef HEADER
  struct verdict verdict = request_judge(&request, server->own, look_bytes(server->look));
  if (verdict.status != 200) return give_error(connection, &verdict); /* at once: ends the connection */
  int64_t wanted = verdict.takes_body ? look_bytes(server->look) : 0;
  struct call *call = malloc(sizeof *call + (size_t)wanted);
  if (!call) return MHD_NO;
  *call = (struct call){.verdict = verdict, .wanted = wanted};
  *context = call;
  return MHD_YES;
}

static enum MHD_Result finish(struct server *server, struct MHD_Connection *connection,
                              const struct call *call) {
  char *json = NULL;
  size_t size = 0;
  switch (call->verdict.route) {
    case ROUTE_FILE: return give_file(connection, call->verdict.file);
    case ROUTE_MODEL: json = look_model(server->look, &size); break;
    case ROUTE_PREDICT: json = look_predict(server->look, call->bytes, &size); break;
    case ROUTE_LOOK: json = look_inside(server->look, call->bytes, &size); break;
  }
  return give_json(connection, MHD_HTTP_OK, NULL, json, size);
}

/* Called when the headers are there, then for each part of the body, then once more. */
static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *part, size_t *part_size,
                              void **call_context) {
  (void)version;
  struct call *call = *call_context;
  if (!call) return begin(context, connection, path, method, call_context);
  if (*part_size > 0) {
    if ((int64_t)*part_size > call->wanted - call->got) return MHD_NO;
    memcpy(call->bytes + call->got, part, *part_size);
    call->got += (int64_t)*part_size;
    *part_size = 0;
    return MHD_YES;
  }
  return call->got == call->wanted ? finish(context, connection, call) : MHD_NO;
}

static void completed(void *context, struct MHD_Connection *connection, void **call_context,
                      enum MHD_RequestTerminationCode code) {
  (void)context, (void)code;
  free(*call_context);
  *call_context = NULL;
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  struct peer *peer = info ? info->socket_context : NULL;
  if (peer) peer->since = now_seconds();
}

static void connection_changed(void *context, struct MHD_Connection *connection, void **peer_context,
                               enum MHD_ConnectionNotificationCode code) {
  struct server *server = context;
  struct peer *peer = *peer_context;
  if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
    if (!peer) return;
    peer->before->next = peer->next;
    peer->next->before = peer->before;
    free(peer);
    *peer_context = NULL;
    return;
  }
  int socket = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
  peer = malloc(sizeof *peer);
  if (!peer) { /* without a place in the list it cannot be late */
    shutdown(socket, SHUT_RDWR);
    return;
  }
  struct peer *head = &server->peers;
  *peer = (struct peer){head->next, head, socket, now_seconds()};
  head->next->before = peer;
  head->next = peer;
  *peer_context = peer;
}

/* Paths are compared as they come: none that is answered has a percent sign. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text) {
  (void)context, (void)connection;
  return strlen(text);
}

struct server *server_new(int listener, const char *own, struct look *look) {
  struct server *server = calloc(1, sizeof *server);
  if (!server) return NULL;
  server->look = look;
  server->own = own;
  server->peers.next = server->peers.before = &server->peers;
  server->daemon = MHD_start_daemon(
      MHD_NO_FLAG, 0, NULL, NULL, answer, server, MHD_OPTION_LISTEN_SOCKET, listener,
      MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      (size_t)HEAD_BYTES, MHD_OPTION_NOTIFY_COMPLETED, completed, server, MHD_OPTION_NOTIFY_CONNECTION,
      connection_changed, server, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
  if (server->daemon) return server;
  free(server);
  return NULL;
}

void server_free(struct server *server) {
  if (!server) return;
  MHD_stop_daemon(server->daemon);
  free(server);
}

/* By pselect(): with epoll, which tells of changes only, libmicrohttpd 0.9.75 does not see an end that came
 * together with the last bytes. MOST_CONNECTIONS keeps the descriptors below FD_SETSIZE. */
void server_run(struct server *server, const sigset_t *while_waiting) {
  fd_set to_read, to_write, odd;
  int largest = -1;
  MHD_UNSIGNED_LONG_LONG milliseconds;
  struct timespec wait = {.tv_sec = 1}; /* then those that are late are looked for */
  FD_ZERO(&to_read);
  FD_ZERO(&to_write);
  FD_ZERO(&odd);
  MHD_get_fdset(server->daemon, &to_read, &to_write, &odd, &largest);
  if (MHD_get_timeout(server->daemon, &milliseconds) == MHD_YES && milliseconds < 1000)
    wait = (struct timespec){.tv_nsec = (long)milliseconds * 1000000};
  if (pselect(largest + 1, &to_read, &to_write, &odd, &wait, while_waiting) < 0) return;
  MHD_run_from_select(server->daemon, &to_read, &to_write, &odd);
  double late = now_seconds() - MOST_SECONDS;
  for (struct peer *peer = server->peers.next; peer != &server->peers; peer = peer->next)
    if (peer->since < late) shutdown(peer->socket, SHUT_RDWR);
}
