/* Dense layers in a row, the first one on packed spikes or analogue values, forward and backward of a piece of the batch
   before the next one begins, so that buffers are a piece's. A caller whose loss is its own stands between the two; the
   cross-entropy of the output layer's spike counts is known here, and then one call does all pieces.

       z = sum over t of s[t],  L = -sum over k of q[k] log softmax(z)[k],  dL/ds[t] = softmax(z) - q
       q: the label one-hot, smoothed: (1 - e) onehot + e / K (Szegedy et al. 2016, arXiv:1512.00567) */
#ifndef LEANSPIKE_CHAIN_H
#define LEANSPIKE_CHAIN_H

#include "dense.h"
#include "spiking_backward.h"

typedef struct {
    int64_t layers;
    lif_args *layer;       /* with buffers for a piece; the batch is set here */
    const uint32_t *bits;  /* [T, batch, words] the inputs, or NULL */
    const float *values;   /* [batch, inputs] or, then the piece is the batch, [T, batch, inputs]: instead of bits */
    int64_t batch, piece;
    const int64_t *labels; /* [batch], 0 .. classes - 1 */
    double smoothing, scale; /* e; what a sample's loss is multiplied with */
    float *grad;           /* [piece, classes] */
    double loss;           /* the sum over the batch */
    int64_t right;         /* decisions, ties to the lowest class, that are the label */
} chain_args;

/* The loss of samples first .. first + batch of the last layer; their gradients by its spikes into c->grad. */
static void count_loss(chain_args *c, const lif_args *last, int64_t first) {
    int64_t classes = last->features;
    for (int64_t i = 0; i < last->batch; i++) {
        float *z = c->grad + i * classes;
        int64_t label = c->labels[first + i], best = 0;
        memset(z, 0, (size_t)classes * 4);
        for (int64_t t = 0; t < last->steps; t++)
            for (int64_t k = 0; k < classes; k++) z[k] += last->spikes[(t * last->batch + i) * classes + k];
        for (int64_t k = 1; k < classes; k++) best = z[k] > z[best] ? k : best;
        double most = z[best], sum = 0, entropy = 0;
        for (int64_t k = 0; k < classes; k++) sum += exp(z[k] - most);
        for (int64_t k = 0; k < classes; k++) {
            double q = c->smoothing / (double)classes + (k == label ? 1 - c->smoothing : 0), x = z[k] - most;
            entropy -= q * (x - log(sum));
            z[k] = (float)(c->scale * (exp(x) / sum - q));
        }
        c->loss += c->scale * entropy;
        c->right += best == label;
    }
}

/* A piece's samples first .. through all layers. */
EXPORT void leanspike_chain_forward(chain_args *c, int64_t first) {
    int64_t live = MIN(c->piece, c->batch - first);
    for (lif_args *a = c->layer; a < c->layer + c->layers; a++) a->batch = a->bits_batch = live;
    if (c->bits) {
        c->layer->bits = c->bits + first * c->layer->words;
        c->layer->bits_batch = c->batch;
    } else c->layer->values = c->values + first * c->layer->inputs;
    for (const lif_args *a = c->layer; a < c->layer + c->layers; a++)
        if (a->values) dense_forward(a);
        else leanspike_spiking_forward(a);
}

/* The piece that went forward last on its way back, from the gradients that its last layer was given. */
EXPORT void leanspike_chain_backward(chain_args *c) {
    for (lif_args *a = c->layer + c->layers - 1; a >= c->layer; a--)
        if (a->values) dense_backward(a);
        else leanspike_spiking_backward(a);
}

/* Returns 0, or 1 and does nothing where a label is no class. */
EXPORT int leanspike_chain(chain_args *c) {
    const lif_args *last = c->layer + c->layers - 1;
    for (int64_t i = 0; i < c->batch; i++)
        if (c->labels[i] < 0 || c->labels[i] >= last->features) return 1;
    for (int64_t first = 0; first < c->batch; first += c->piece) {
        leanspike_chain_forward(c, first);
        count_loss(c, last, first);
        leanspike_chain_backward(c);
    }
    return 0;
}

#endif
