/* The table of one instruction set, filled from kernels.def. The last of the bodies. */
#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define TEXT_(a)    #a
#define TEXT(a)     TEXT_(a)

extern const struct kernel_table JOIN(kernels_, ISA);

const struct kernel_table JOIN(kernels_, ISA) = {
    .name = TEXT(ISA),
#define KERNEL(result, name, arguments) .name = kernel_##name,
#include "kernels/kernels.def"
#undef KERNEL
};
