/* The kernels for NEON: the vectors, then every body. Exports kernels_neon. */
#include "kernels/kernels.h"

#if defined(__aarch64__)
#include "kernels/vec_neon.h"

/* The bodies, on those vectors, and the table of them. */
#include "kernels/body_batchnorm.h"
#include "kernels/body_col2im.h"
#include "kernels/body_dropout.h"
#include "kernels/body_elementwise.h"
#include "kernels/body_lrn.h"
#include "kernels/body_optimizer.h"
#include "kernels/body_parametric.h"
#include "kernels/body_pool.h"
#include "kernels/body_product.h"
#include "kernels/body_reduce.h"
#include "kernels/body_separable.h"
#include "kernels/body_subsample.h"
#include "kernels/body_table_conv.h"
#include "kernels/body_transpose.h"

#include "kernels/body_table.h"
#endif
