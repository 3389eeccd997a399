/* rbf.h - a support vector machine of two classes with an RBF kernel, by libsvm. SPDX-License-Identifier: MIT */
#ifndef CAD_RBF_H
#define CAD_RBF_H

#include "io/foundation.h"

typedef struct rbf_t rbf_t;
/* Returns CAD_EARG with the reason if the program was built without libsvm. */
int rbf_check(cad_error_t *err);
/* Trains on n rows of `width` numbers. x: (n,width); positive: (n), with both classes. It has no random choices, and
 * several threads may train at the same time. */
int rbf_fit(rbf_t **svm, const double *x, const bool *positive, int64_t n, int64_t width, double cost, double gamma,
            cad_error_t *err);
/* Returns the decision value of a row, which is above 0 where the class is positive. */
double rbf_decide(rbf_t *svm, const double *x);
int64_t rbf_vectors(const rbf_t *svm); /* the number of support vectors */
void rbf_free(rbf_t *svm);

#endif
