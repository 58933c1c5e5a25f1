/* cnn serve: on loopback, a page on which to draw, and what the network makes of it while one draws. serve.h
 * says which file does what. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"
#include "serve.h"

static volatile sig_atomic_t stopped;

static void stop(int signal) {
  (void)signal;
  stopped = 1;
}

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};

/* From here on they wait until the server waits; `while_waiting` is the mask for that. */
static void take_signals(sigset_t *while_waiting) {
  sigset_t held;
  struct sigaction action = {.sa_handler = stop};
  sigemptyset(&held);
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof stop_signals / sizeof *stop_signals; i++) {
    struct sigaction before;
    sigaction(stop_signals[i], NULL, &before);
    if (before.sa_handler == SIG_IGN) continue; /* as nohup wants it */
    sigaction(stop_signals[i], &action, NULL);
    sigaddset(&held, stop_signals[i]);
  }
  sigprocmask(SIG_BLOCK, &held, while_waiting);
  for (size_t i = 0; i < sizeof stop_signals / sizeof *stop_signals; i++)
    sigdelset(while_waiting, stop_signals[i]);
}

/* A socket that listens there, or -1 after saying why not. */
static int open_listener(const char *host, int64_t port) {
  char service[16];
  struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
  snprintf(service, sizeof service, "%lld", (long long)port);
  int error = getaddrinfo(host, service, &wanted, &found);
  if (error) {
    fail_with("--host: '%s' is no address of this machine: %s", host, gai_strerror(error));
    return -1;
  }
  int on = 1, listener = -1;
  for (const struct addrinfo *at = found; at && listener < 0; at = at->ai_next) {
    listener = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (listener < 0) continue;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, at->ai_addr, at->ai_addrlen) == 0 && listen(listener, SOMAXCONN) == 0) break;
    error = errno;
    close(listener);
    errno = error;
    listener = -1;
  }
  error = errno;
  freeaddrinfo(found);
  if (listener < 0 && error == EADDRINUSE)
    fail_with("port %lld of %s is in use: give another by --port, or --port 0 for any that is free",
              (long long)port, host);
  else if (listener < 0)
    fail_with("cannot listen on port %lld of %s: %s", (long long)port, host, strerror(error));
  return listener;
}

/* Where a browser finds it, as http://127.0.0.1:8028/. */
static bool print_address(int listener) {
  struct sockaddr_storage address = {0};
  socklen_t size = sizeof address;
  char host[64] = "", port[16] = "";
  if (getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
      getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return false;
  bool six = address.ss_family == AF_INET6;
  if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
    printf("network   all addresses of this machine: whoever reaches it can open the page\n");
    snprintf(host, sizeof host, six ? "::1" : "127.0.0.1");
  }
  printf("page      http://%s%s%s:%s/\nCtrl-C ends it\n", six ? "[" : "", host, six ? "]" : "", port);
  return fflush(stdout) == 0;
}

static int serve(const char *path, const char *host, int64_t port, int64_t threads) {
  char shape[TEXT_SIZE];
  sigset_t while_waiting;
  struct look *look = look_new(path, threads);
  if (!look) return EXIT_FAILURE;
  int listener = open_listener(host, port);
  struct server *server = listener < 0 ? NULL : server_new(listener, host, look);
  int result = EXIT_FAILURE;
  if (server) {
    take_signals(&while_waiting);
    printf("model     %s, %d layers, takes %s\n", path, cnn_net_layer_count(look_net(look)),
           shape_text(look_image(look), shape));
    if (print_address(listener)) {
      while (!stopped) server_run(server, &while_waiting);
      result = EXIT_SUCCESS;
    }
  } else if (listener >= 0) {
    close(listener);
    fail_with("out of memory");
  }
  server_free(server);
  look_free(look);
  return result;
}

int cmd_serve(int argc, char **argv) {
  const char *host = "127.0.0.1";
  int64_t port = 8028, threads = 0;
  const struct option_row rows[] = {
      ROW_WHOLE("port", "P", &port, 0, 65535, NULL, "the port to listen on; 0: any that is free"),
      ROW_WORD("host", "ADDRESS", &host, NULL,
               "the address to listen on; 0.0.0.0 opens the page to the network, to all who reach it"),
      ROW_THREADS(&threads), ROW_END};
  struct command_line line = {
      .words = "MODEL",
      .least = 1,
      .most = 1,
      .rows = rows,
      .about =
          "Serve a page for the browser on which to draw with mouse, finger or keyboard, or to drop an "
          "image: "
          "the probabilities of MODEL, the feature maps of every layer and the pixels that the guess depends "
          "on follow the stroke. Only this machine can open it, unless --host says otherwise.",
      .after =
          "Example:\n  cnn serve simple-conv-net.safetensors\n\n"
          "Programs may ask too: the manual page says how.\n"};
  command_line_parse(&line, argc, argv);
  return serve(line.word[0], host, port, threads);
}
