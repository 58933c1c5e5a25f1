/* Which requests `cnn serve` answers (cli/serve_request.c): each rule, and tens of thousands of requests that
 * are nearly right, judged again by a second, simpler reading of the rules. */
#include "../../cli/serve_request.c" /* NOLINT(bugprone-suspicious-include): libcnn does not have it */

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/rng.h"

const struct page_file page_files[] = {{.path = "/index.html"}, {.path = "/page.js"}, {0}};

enum { BYTES = 784 };

static const struct request good_post = {.method = "POST",
                                         .path = "/look",
                                         .host = "127.0.0.1:8028",
                                         .origin = "http://127.0.0.1:8028",
                                         .type = "application/octet-stream",
                                         .length = "784"};
static const struct request good_get = {.method = "GET", .path = "/", .host = "localhost"};

static struct verdict judge(struct request request) { return request_judge(&request, "box", BYTES); }

static void expect(struct request request, int status) {
  struct verdict verdict = judge(request);
  if (verdict.status != status)
    fail_msg("%s %s of %s: %d, not %d", request.method, request.path, request.host ? request.host : "no host",
             verdict.status, status);
}

static void right_ones(void **state) {
  (void)state;
  struct verdict verdict = judge(good_post);
  assert_int_equal(verdict.status, 200);
  assert_int_equal(verdict.route, ROUTE_LOOK);
  assert_true(verdict.takes_body);
  verdict = judge(good_get);
  assert_int_equal(verdict.status, 200);
  assert_ptr_equal(verdict.file, &page_files[0]);
  assert_false(verdict.takes_body);
  struct request request = good_get;
  request.path = "/model";
  request.method = "HEAD";
  assert_int_equal(judge(request).route, ROUTE_MODEL);
  assert_null(judge(request).file);
  request = good_post;
  request.path = "/predict";
  request.origin = NULL;
  assert_int_equal(judge(request).route, ROUTE_PREDICT);
}

static void hosts(void **state) {
  (void)state;
  static const char *const ours[] = {"localhost", "LOCALHOST:1", "127.0.0.1", "192.168.1.7:80",
                                     "[::1]",     "[fe80::1]:9", "box",       "Box:8028"};
  static const char *const theirs[] = {"",
                                       "evil.example",
                                       "boxes",
                                       "localhost.",
                                       "127.0.0.1.evil.example",
                                       "127.1",
                                       "0x7f000001",
                                       ":1",
                                       "127.0.0.1:123456",
                                       "[::1",
                                       "[::1]x",
                                       "[127.0.0.1]",
                                       "::1",
                                       "[]",
                                       "[",
                                       "localhost:",
                                       "localhost:x",
                                       "a@localhost"};
  struct request request = good_get;
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
    request.host = ours[i];
    expect(request, 200);
  }
  for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++) {
    request.host = theirs[i];
    expect(request, 403);
  }
  request.host = NULL;
  expect(request, 400);
}

static void bodies(void **state) {
  (void)state;
  static const struct {
    const char *length;
    int status;
  } rows[] = {{"784", 200},
              {"0784", 200},
              {"783", 400},
              {"785", 413},
              {"0", 400},
              {"", 400},
              {"-784", 400},
              {"+784", 400},
              {"784 ", 400},
              {"7e2", 400},
              {"0x310", 400},
              {NULL, 411},
              {"99999999999999999999999999", 413}};
  struct request request = good_post;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    request.length = rows[i].length;
    expect(request, rows[i].status);
  }
  request = good_post;
  request.encoding = "chunked";
  expect(request, 411);
  request = good_post;
  request.type = "text/plain";
  expect(request, 415);
}

/* ---- Random ones ---- */

struct source {
  struct rng rng;
  uint64_t draws;
};

static size_t below(struct source *source, size_t n) {
  return (size_t)rng_below(&source->rng, source->draws++, n);
}

enum { ROOM = 200 };

/* A copy of text with up to three bytes changed, gone, or come; NULL now and then. */
static const char *nearly(struct source *source, const char *text, char buffer[ROOM]) {
  static const char bytes[] = "/.:[]0123456789azAZ %@-\t\x01\x7f\xff";
  if (!text || below(source, 40) == 0) return NULL;
  snprintf(buffer, ROOM, "%s", text);
  for (size_t times = below(source, 3) * below(source, 2); times > 0; times--) {
    size_t length = strlen(buffer), at = below(source, length + 1);
    char byte = bytes[below(source, sizeof bytes - 1)];
    switch (below(source, 4)) {
      case 0:
        if (length) buffer[at % length] = byte;
        break;
      case 1:
        if (at < length) memmove(buffer + at, buffer + at + 1, length - at);
        break;
      case 2:
        if (length + 1 == ROOM) break;
        memmove(buffer + at + 1, buffer + at, length - at + 1);
        buffer[at] = byte;
        break;
      default: memset(buffer + at, byte, ROOM - 1 - at), buffer[ROOM - 1] = '\0';
    }
  }
  return buffer;
}

/* The rules once more, by lists of what is right. */
static bool is_right(const struct request *r) {
  static const char *const reads[] = {"/", "/index.html", "/page.js", "/model"};
  unsigned char address[16];
  char name[ROOM] = "", origin[ROOM + 8];
  if (!r->host) return false;
  int end = -1, end6 = -1;
  bool plain =
      sscanf(r->host, "%150[^]:[]%n", name, &end) == 1 && end > 0 &&
      (inet_pton(AF_INET, name, address) == 1 || !strcasecmp(name, "localhost") || !strcasecmp(name, "box"));
  bool six = !plain && sscanf(r->host, "[%150[^]]]%n", name, &end6) == 1 && end6 > 0 &&
             inet_pton(AF_INET6, name, address) == 1;
  if (!plain && !six) return false;
  const char *port = r->host + (plain ? end : end6);
  if (*port &&
      (*port != ':' || strlen(port) > 6 || strlen(port) < 2 || port[1 + strspn(port + 1, "0123456789")]))
    return false;
  snprintf(origin, sizeof origin, "http://%s", r->host);
  if (r->origin && strcasecmp(r->origin, origin) != 0) return false;
  for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
    if (strcmp(r->path, reads[i]) == 0) return !strcmp(r->method, "GET") || !strcmp(r->method, "HEAD");
  if (strcmp(r->path, "/look") != 0 && strcmp(r->path, "/predict") != 0) return false;
  return !strcmp(r->method, "POST") && r->type && !strcasecmp(r->type, "application/octet-stream") &&
         !r->encoding && r->length && strlen(r->length) > 0 &&
         r->length[strspn(r->length, "0123456789")] == 0 && strlen(r->length) <= 18 &&
         strtoll(r->length, NULL, 10) == BYTES;
}

static void random_ones(void **state) {
  (void)state;
  struct source source = {rng_stream(11, RNG_GRADCHECK, 5), 0};
  int right = 0, rounds = 200000;
  for (int i = 0; i < rounds; i++) {
    char text[7][ROOM];
    const struct request *from = below(&source, 2) ? &good_post : &good_get;
    struct request r = {.method = nearly(&source, from->method, text[0]),
                        .path = nearly(&source, from->path, text[1]),
                        .host = nearly(&source, from->host, text[2]),
                        .origin = nearly(&source, from->origin, text[3]),
                        .type = nearly(&source, from->type, text[4]),
                        .length = nearly(&source, from->length, text[5]),
                        .encoding = below(&source, 30) ? NULL : nearly(&source, "chunked", text[6])};
    if (!r.method) r.method = ""; /* a request has a line */
    if (!r.path) r.path = "";
    struct verdict verdict = judge(r);
    if ((verdict.status == 200) != is_right(&r))
      fail_msg("%d for '%s' '%s' '%s' '%s' '%s' '%s'", verdict.status, r.method, r.path,
               r.host ? r.host : "-", r.origin ? r.origin : "-", r.type ? r.type : "-",
               r.length ? r.length : "-");
    if (verdict.status == 200) {
      right++;
      continue;
    }
    static const int errors[] = {400, 403, 404, 405, 411, 413, 415};
    bool known = false;
    for (size_t k = 0; k < sizeof errors / sizeof *errors; k++) known = known || verdict.status == errors[k];
    assert_true(known);
    assert_true(verdict.why[0] && strlen(verdict.why) < sizeof verdict.why);
    assert_int_equal(verdict.allow != NULL, verdict.status == 405);
    assert_false(verdict.takes_body);
  }
  assert_in_range(right, rounds / 20, rounds * 19 / 20); /* both kinds are met often */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(right_ones), cmocka_unit_test(hosts),
                                     cmocka_unit_test(bodies), cmocka_unit_test(random_ones)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
