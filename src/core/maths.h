/* sin, cos and exp in a fixed order of operations.
 *
 * libm's last bits differ from version to version, so what a result depends on is computed here: in double,
 * by series, wrong by at most a few units of 2^-53. Called where images are augmented, not in kernels. */
#ifndef CNN_CORE_MATHS_H
#define CNN_CORE_MATHS_H

/* Of an angle in degrees, |degrees| up to 1e6. */
void maths_sin_cos(double degrees, double *sine, double *cosine);

/* exp(x), for -700 <= x <= 700. */
double maths_exp(double x);

/* Eigenvalues and eigenvectors (rows, of length 1) of a symmetric matrix, by Jacobi's rotations. */
void maths_eigen3(double matrix[3][3], double value[3], double vector[3][3]);

#endif
