/* A layer whose input is analogue: dense products, with the scan of lif.h between them.

       I[r, :]  = bias + sum over k of x[r, k] weight[k, :]        dW = x^T dI        r: one step of one sample
   Currents, potentials and the gradient of currents take turns in one buffer. Where the input is the same at every
   step (direct coding) both products are those of one step: dI is then summed over the steps first. */
#ifndef LEANSPIKE_DENSE_H
#define LEANSPIKE_DENSE_H

#include "gemm.h"
#include "lif.h"

static int64_t input_rows(const lif_args *a) { return a->current_step ? a->steps * a->batch : a->batch; }

static void dense_forward(const lif_args *a) {
    leanspike_gemm(&(gemm_args){.m = input_rows(a), .n = a->features, .k = a->inputs, .a = a->values, .a_row = a->inputs,
                                .a_column = 1, .b = a->weight, .b_row = a->features, .b_column = 1, .bias = a->bias,
                                .c = a->current, .c_row = a->features, .threads = a->threads});
    leanspike_lif_forward(a);
}

/* Finds the gradients of weight and bias; grad_current is needed, and grad_sum where it has steps. */
static void dense_backward(const lif_args *a) {
    leanspike_lif_backward(a);
    leanspike_gemm(&(gemm_args){.m = a->inputs, .n = a->features, .k = input_rows(a), .a = a->values, .a_row = 1,
                                .a_column = a->inputs, .b = a->grad_current, .b_row = a->features, .b_column = 1,
                                .add = a->adds, .c = a->grad_weight, .c_row = a->features, .threads = a->threads});
    const float *sums = a->current_step ? a->grad_sum : a->grad_current;
    if (a->grad_bias && !a->adds) memset(a->grad_bias, 0, (size_t)a->features * 4);
    for (int64_t b = 0; a->grad_bias && b < a->batch; b++)
        for (int64_t j = 0; j < a->features; j++) a->grad_bias[j] += sums[b * a->features + j];
}

#endif
