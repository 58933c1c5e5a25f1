/* The kernels for plain C, for any machine: the vectors, then every body. Exports kernels_scalar. */
#include "kernels/kernels.h"

#include "kernels/vec_scalar.h"

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
