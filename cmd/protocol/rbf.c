/* rbf.c - trains support vector machines by libsvm, if the program was built with it. libsvm draws random numbers only
 * for probabilities and cross-validation, which are not used here. SPDX-License-Identifier: MIT */
#include "protocol/rbf.h"

#ifdef CAD_LIBSVM
#ifdef HAVE_LIBSVM_SVM_H
#include <libsvm/svm.h>
#else
#include <svm.h>
#endif

struct rbf_t {
    struct svm_model *model;
    struct svm_node *node, **row; // (n+1,width+1) training rows, to which the model's vectors point, and one more
    double *class;                // (n) 1 or -1
    int64_t n, width;
    double sign; /* of the model's decision values for the positive class */
};

int rbf_check(cad_error_t *err)
{
    (void)err;
    return 0;
}

static void be_quiet(const char *s) { (void)s; }

static void fill(struct svm_node *node, const double *x, int64_t width)
{
    for (int64_t j = 0; j < width; j++) node[j] = (struct svm_node) { (int)j + 1, x[j] };
    node[width] = (struct svm_node) { -1, 0 };
}

static rbf_t *make_room(int64_t n, int64_t width)
{
    rbf_t *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->n = n;
    s->width = width;
    s->node = cad_alloc((size_t)(n + 1) * (size_t)(width + 1), sizeof *s->node);
    s->row = cad_alloc((size_t)n + 1, sizeof *s->row);
    s->class = cad_alloc((size_t)n + 1, sizeof *s->class);
    if (s->node && s->row && s->class) return s;
    rbf_free(s);
    return NULL;
}

int rbf_fit(rbf_t **svm, const double *x, const bool *positive, int64_t n, int64_t width, double cost, double gamma,
            cad_error_t *err)
{
    struct svm_parameter how = {
        .svm_type = C_SVC, .kernel_type = RBF, .gamma = gamma, .cache_size = 200, .eps = 1e-3, .C = cost, .shrinking = 1
    };
    rbf_t *s = make_room(n, width);
    int label[2];
    *svm = s;
    if (!s) return cad_out_of_memory(err);
    for (int64_t i = 0; i <= n; i++) s->row[i] = s->node + i * (width + 1);
    for (int64_t i = 0; i < n; i++) fill(s->row[i], x + i * width, width);
    for (int64_t i = 0; i < n; i++) s->class[i] = positive[i] ? 1 : -1;
    svm_set_print_string_function(be_quiet);
    s->model = svm_train(&(struct svm_problem) { (int)n, s->class, s->row }, &how);
    if (!s->model || svm_get_nr_class(s->model) != 2)
        return cad_fail(err, CAD_EARG, "libsvm has not trained on %lld rows", (long long)n);
    svm_get_labels(s->model, label);
    s->sign = label[0] == 1 ? 1 : -1;
    return 0;
}

double rbf_decide(rbf_t *s, const double *x)
{
    double value;
    fill(s->row[s->n], x, s->width);
    svm_predict_values(s->model, s->row[s->n], &value);
    return s->sign * value;
}

int64_t rbf_vectors(const rbf_t *s) { return svm_get_nr_sv(s->model); }

void rbf_free(rbf_t *s)
{
    if (!s) return;
    if (s->model) svm_free_and_destroy_model(&s->model);
    free(s->node);
    free(s->row);
    free(s->class);
    free(s);
}

#else

int rbf_check(cad_error_t *err)
{
    return cad_fail(err, CAD_EARG,
                    "eqtl: built without libsvm, which trains the SVM; on Debian: apt install libsvm-dev, then "
                    "configure and build again");
}

int rbf_fit(rbf_t **svm, const double *x, const bool *positive, int64_t n, int64_t width, double cost, double gamma,
            cad_error_t *err)
{
    (void)x, (void)positive, (void)n, (void)width, (void)cost, (void)gamma;
    *svm = NULL;
    return rbf_check(err);
}

double rbf_decide(rbf_t *svm, const double *x)
{
    (void)svm, (void)x;
    return 0;
}

int64_t rbf_vectors(const rbf_t *svm)
{
    (void)svm;
    return 0;
}

void rbf_free(rbf_t *svm) { (void)svm; }

#endif
