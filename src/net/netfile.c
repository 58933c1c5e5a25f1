/* Networks as text: .net files and the built-in ones, line by line to the same calls as in C. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "net/builtin.h"
#include "net/net.h"

static cnn_status too_large(const char *source) {
  return CNN_FAIL(CNN_E_FORMAT, "%s: not a network: larger than 1 MiB", source);
}

/* One line: cut the comment, split the layer's name from its words. line is changed. */
static cnn_status parse_line(cnn_net *net, char *line, const char *source, int number) {
  line[strcspn(line, "#")] = 0;
  line += strspn(line, " \t\r");
  if (!*line) return CNN_OK;
  char *words = line + strcspn(line, " \t\r");
  if (*words) *words++ = 0;
  return net_add_line(net, line, words, source, number);
}

cnn_status cnn_net_parse(const char *text, const char *source, cnn_net **out) {
  if (strnlen(text, NET_LARGEST_TEXT + 1) > NET_LARGEST_TEXT) return too_large(source);
  if (strncmp(text, "\xef\xbb\xbf", 3) == 0) text += 3; /* the mark that some editors begin a file with */
  cnn_net *net = cnn_net_new();
  char *copy = mem_copy_text(text);
  cnn_status status = net && copy ? CNN_OK : status_no_memory(strlen(text), "a network's text");
  int number = 0;
  for (char *line = copy; status == CNN_OK && line;) {
    char *end = strchr(line, '\n');
    if (end) *end++ = 0;
    status = parse_line(net, line, source, ++number);
    line = end;
  }
  if (status == CNN_OK) {
    status = cnn_net_check(net);
    int unread = net_unread(net);
    if (status != CNN_OK && unread >= 0)
      status_prefix("%s:%d: ", source, net->bricks[unread].line);
    else if (status != CNN_OK)
      status_prefix("%s: ", source);
  }
  mem_free(copy);
  if (status == CNN_OK)
    *out = net;
  else
    cnn_net_free(net);
  return status;
}

/* The whole file as text. */
static cnn_status read_text(const char *path, struct text *text) {
  FILE *file = fopen(path, "rb");
  if (!file) return CNN_FAIL(CNN_E_IO, "%s: %s", path, strerror(errno));
  char buffer[4096];
  size_t count;
  cnn_status status = CNN_OK;
  while (status == CNN_OK && (count = fread(buffer, 1, sizeof buffer, file)) > 0) {
    text_add_bytes(text, buffer, count);
    if (text->failed)
      status = status_no_memory(NET_LARGEST_TEXT, "a network's text");
    else if (memchr(buffer, 0, count))
      status = CNN_FAIL(CNN_E_FORMAT, "%s: not a network: it holds bytes that are no text", path);
    else if (text->length > NET_LARGEST_TEXT)
      status = too_large(path);
  }
  if (status == CNN_OK && ferror(file)) status = CNN_FAIL(CNN_E_IO, "%s: %s", path, strerror(errno));
  fclose(file);
  return status;
}

const char *cnn_net_builtin(int index) {
  for (int i = 0; builtin_nets[i].name; i++)
    if (i == index) return builtin_nets[i].name;
  return NULL;
}

cnn_status cnn_net_load(const char *name, cnn_net **net) {
  const char *names[64] = {0};
  for (int i = 0; i < 63 && builtin_nets[i].name; i++) {
    names[i] = builtin_nets[i].name;
    if (strcmp(name, names[i]) == 0) return cnn_net_parse(builtin_nets[i].text, name, net);
  }
  if (!strpbrk(name, "/.")) {
    const char *nearest = text_nearest(name, names);
    if (access(name, F_OK) == 0)
      return CNN_FAIL(CNN_E_KEY, "unknown network '%.60s'; for the file of that name write './%.60s'", name,
                      name);
    return nearest ? CNN_FAIL(CNN_E_KEY,
                              "unknown network '%.60s'; did you mean '%s'? (a file's name has a '.' or '/')",
                              name, nearest)
                   : CNN_FAIL(CNN_E_KEY,
                              "unknown network '%.60s'; give a built-in name such as 'simple-conv-net' or a "
                              ".net file",
                              name);
  }
  struct text text = {0};
  cnn_status status = read_text(name, &text);
  if (status == CNN_OK) status = cnn_net_parse(text.data ? text.data : "", name, net);
  text_free(&text);
  return status;
}
