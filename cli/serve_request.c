/* Which requests `cnn serve` answers. Nothing here touches a socket: a request is looked at as text, and
 * everything that is not as it must be is refused with a status and a sentence. tests/unit/serve_request.c
 * throws random ones at it. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "serve.h"

static const char body_type[] = "application/octet-stream";

static struct verdict refuse(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

static struct verdict refuse(int status, const char *format, ...) {
  struct verdict verdict = {.status = status};
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(verdict.why, sizeof verdict.why, format, arguments);
  va_end(arguments);
  return verdict;
}

/* ":8028", or nothing. */
static bool is_port(const char *text) {
  if (*text == '\0') return true;
  size_t digits = strspn(text + 1, "0123456789");
  return *text == ':' && digits >= 1 && digits <= 5 && text[1 + digits] == '\0';
}

/* Host: NAME[:PORT], or [ADDRESS][:PORT] for IPv6. */
static bool is_own_host(const char *host, const char *own) {
  char name[128];
  unsigned char address[16];
  bool bracket = host[0] == '[';
  size_t length = strcspn(host + bracket, bracket ? "]" : ":");
  const char *rest = host + bracket + length;
  if (length == 0 || length >= sizeof name || (bracket && *rest++ != ']') || !is_port(rest)) return false;
  memcpy(name, host + bracket, length);
  name[length] = '\0';
  if (bracket) return inet_pton(AF_INET6, name, address) == 1;
  return inet_pton(AF_INET, name, address) == 1 || strcasecmp(name, "localhost") == 0 ||
         strcasecmp(name, own) == 0;
}

/* http://HOST, of the very host that was asked. */
static bool is_own_origin(const char *origin, const char *host) {
  static const char scheme[] = "http://";
  size_t length = sizeof scheme - 1;
  return strncasecmp(origin, scheme, length) == 0 && strcasecmp(origin + length, host) == 0;
}

/* A body's length in decimal; -1 where it is no number, or too large to be one that matters. */
static int64_t read_length(const char *text) {
  int64_t value = 0;
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || text[digits] != '\0') return -1;
  if (digits > 15) return INT64_MAX;
  for (; *text; text++) value = 10 * value + (*text - '0');
  return value;
}

static struct verdict judge_body(const struct request *request, int64_t bytes) {
  if (!request->type || strcasecmp(request->type, body_type) != 0)
    return refuse(415, "the body must be %s: a byte for each value of one image", body_type);
  if (request->encoding || !request->length)
    return refuse(411, "Content-Length is missing; it must be %" PRId64, bytes);
  int64_t length = read_length(request->length);
  if (length < 0) return refuse(400, "Content-Length is not a number");
  if (length != bytes)
    return refuse(length > bytes ? 413 : 400, "the body has %" PRId64 " bytes; one image has %" PRId64,
                  length, bytes);
  return (struct verdict){.status = 200, .takes_body = true};
}

static bool is_read(const char *method) { return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0; }

struct verdict request_judge(const struct request *request, const char *own, int64_t bytes) {
  static const struct {
    const char *path;
    enum route route;
    bool post;
  } rows[] = {{"/model", ROUTE_MODEL, false}, {"/predict", ROUTE_PREDICT, true}, {"/look", ROUTE_LOOK, true}};
  if (!request->host) return refuse(400, "the request names no Host");
  if (!is_own_host(request->host, own))
    return refuse(403,
                  "this server answers to its address, localhost and what --host says, and to no other name");
  if (request->origin && !is_own_origin(request->origin, request->host))
    return refuse(403, "pages of other origins are not answered");

  struct verdict verdict = {.status = 404};
  bool post = false;
  const char *path = strcmp(request->path, "/") == 0 ? "/index.html" : request->path;
  for (const struct page_file *file = page_files; file->path; file++)
    if (strcmp(path, file->path) == 0) verdict = (struct verdict){.status = 200, .file = file};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (strcmp(path, rows[i].path) == 0) {
      verdict = (struct verdict){.status = 200, .route = rows[i].route};
      post = rows[i].post;
    }
  if (verdict.status == 404) return refuse(404, "there is nothing here; the page is at /");
  if (post ? strcmp(request->method, "POST") != 0 : !is_read(request->method)) {
    verdict = refuse(405, post ? "only POST is answered here" : "only GET and HEAD are answered here");
    verdict.allow = post ? "POST" : "GET, HEAD";
    return verdict;
  }
  if (!post) return verdict;
  enum route route = verdict.route;
  verdict = judge_body(request, bytes);
  verdict.route = route;
  return verdict;
}
