/* The networks that come with the library: nets/NAME.net, compiled in at build time.
 *
 * cmake/embed.cmake writes the array, one row for each file of nets/; netfile.c looks names up in it. */
#ifndef CNN_NET_BUILTIN_H
#define CNN_NET_BUILTIN_H

#include <stddef.h>

struct builtin_net {
  const char *name; /* "simple-conv-net" */
  const char *text; /* the whole file */
};

extern const struct builtin_net builtin_nets[]; /* in byte order of name; ended by {NULL, NULL} */

#endif
