/* See maths.h. */
#include "core/maths.h"

#include <math.h>

/* The nearest multiple of 90 degrees is taken off first; then |r| <= pi/4 and Taylor's series end at r^17 and
 * r^16, whose next terms are below 2^-56. */
void maths_sin_cos(double degrees, double *sine, double *cosine) {
  double quarters = floor(degrees / 90 + 0.5);
  double r = (degrees - 90 * quarters) * 0.017453292519943295, r2 = r * r;
  double s = 1, c = 1;
  for (int k = 17; k >= 3; k -= 2) s = 1 - s * r2 / (k * (k - 1));
  for (int k = 16; k >= 2; k -= 2) c = 1 - c * r2 / (k * (k - 1));
  s *= r;
  switch ((int)(quarters - 4 * floor(quarters / 4))) {
    case 0: *sine = s, *cosine = c; break;
    case 1: *sine = c, *cosine = -s; break;
    case 2: *sine = -s, *cosine = -c; break;
    default: *sine = -c, *cosine = s; break;
  }
}

/* x = k ln 2 + r, |r| <= ln(2)/2; ln 2 in two parts, so that r loses nothing. */
double maths_exp(double x) {
  double k = floor(x / 0.69314718055994531 + 0.5);
  double r = (x - k * 0x1.62e42feep-1) - k * 0x1.a39ef35793c76p-33, sum = 1;
  for (int i = 14; i >= 1; i--) sum = 1 + sum * r / i;
  return ldexp(sum, (int)k);
}

/* One rotation that makes a[p][q] zero (Golub and Van Loan, Matrix Computations, section 8.5). */
static void rotate(double a[3][3], double v[3][3], int p, int q) {
  if (a[p][q] == 0) return;
  double tau = (a[q][q] - a[p][p]) / (2 * a[p][q]);
  double t = 1 / (fabs(tau) + sqrt(1 + tau * tau));
  if (tau < 0) t = -t;
  double c = 1 / sqrt(1 + t * t), s = t * c;
  for (int k = 0; k < 3; k++) {
    double x = a[k][p], y = a[k][q];
    a[k][p] = c * x - s * y, a[k][q] = s * x + c * y;
  }
  for (int k = 0; k < 3; k++) {
    double x = a[p][k], y = a[q][k];
    a[p][k] = c * x - s * y, a[q][k] = s * x + c * y;
    x = v[p][k], y = v[q][k];
    v[p][k] = c * x - s * y, v[q][k] = s * x + c * y;
  }
}

void maths_eigen3(double matrix[3][3], double value[3], double vector[3][3]) {
  enum { SWEEPS = 12 /* it converges quadratically: 5 or 6 do */ };
  double a[3][3];
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 3; k++) a[i][k] = matrix[i][k], vector[i][k] = i == k;
  for (int sweep = 0; sweep < SWEEPS; sweep++) {
    rotate(a, vector, 0, 1);
    rotate(a, vector, 0, 2);
    rotate(a, vector, 1, 2);
  }
  for (int i = 0; i < 3; i++) value[i] = a[i][i];
}
