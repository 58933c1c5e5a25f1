/* Part of kernels.c: the kernels of single layers, each run on floats of in for all that it gives. */

#define ONE_IN_WITH(name, parameter)                                                                        \
  static void bits_##name(const struct kernel_table *table, float *in, float *out, struct random *random) { \
    float number = (parameter);                                                                             \
    table->name(out, in, number, draw(random, 0, COUNT / BLOCK) * BLOCK);                                   \
    memcpy(out + COUNT, in, COUNT * sizeof *in);                                                            \
    table->name(out + COUNT, out + COUNT, number, COUNT); /* in place */                                    \
  }
#define TWO_IN_WITH(name, parameter)                                                                        \
  static void bits_##name(const struct kernel_table *table, float *in, float *out, struct random *random) { \
    float number = (parameter);                                                                             \
    table->name(out, in, in + COUNT, number, draw(random, 0, COUNT / BLOCK) * BLOCK);                       \
    memcpy(out + COUNT, in, COUNT * sizeof *in);                                                            \
    table->name(out + COUNT, out + COUNT, in + COUNT, number, COUNT); /* in place */                        \
  }
ONE_IN_WITH(leaky_relu_forward, fabsf(uniform(random)))
TWO_IN_WITH(leaky_relu_backward, fabsf(uniform(random)))
ONE_IN_WITH(elu_forward, 2 * fabsf(uniform(random)))
TWO_IN_WITH(elu_backward, 2 * fabsf(uniform(random)))
