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
    float *loss;           /* receives the sum over the batch */
    int64_t right;         /* decisions, ties to the lowest class, that are the label */
} chain_args;

static void layer_forward(const lif_args *a) {
    if (a->values) dense_forward(a);
    else leanspike_spiking_forward(a);
}

static void layer_backward(const lif_args *a) {
    if (a->values) dense_backward(a);
    else leanspike_spiking_backward(a);
}

/* What a part of the batch adds to the loss, and its right decisions. */
typedef struct {
    double loss;
    int64_t right;
} verdict;

static verdict both(verdict a, verdict b) { return (verdict){a.loss + b.loss, a.right + b.right}; }

/* The loss of samples from .. end of the piece that begins at `first`; their gradients by the last layer's spikes into
   c->grad. */
static verdict count_loss(const chain_args *c, int64_t first, int64_t from, int64_t end) {
    const lif_args *last = c->layer + c->layers - 1;
    int64_t classes = last->features;
    verdict found = {0};
    for (int64_t i = from; i < end; i++) {
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
        found.loss += c->scale * entropy;
        found.right += best == label;
    }
    return found;
}

/* A part of the last layer, a narrow one, forward, judged and back while the lists of its chunks stand. */
static verdict part_counted(const chain_args *c, int64_t first, int64_t part, float *sums) {
    const lif_args *a = c->layer + c->layers - 1;
    verdict found = {0};
    for (int64_t from = part_of(a, part), end = part_of(a, part + 1); from < end;) {
        chunk k = open_chunk(a, from, end);
        list_rows(&k);
        chunk_forward(&k, ALONE);
        from += k.live;
        found = both(found, count_loss(c, first, k.first, from));
        narrow_backward(&k, sums);
        close_chunk(&k);
    }
    return found;
}

/* The last layer of the piece that begins at `first`: forward, loss and backward. */
static verdict last_counted(const chain_args *c, int64_t first) {
    const lif_args *a = c->layer + c->layers - 1;
    if (a->values || !narrow(a)) {
        layer_forward(a);
        verdict found = count_loss(c, first, 0, a->batch);
        layer_backward(a);
        return found;
    }
    int64_t size = tiles_of(a) * sums_of(a);
    float *sums = calloc((size_t)(NARROW_PARTS * size), 4);
    verdict found[NARROW_PARTS], all = {0};
#pragma omp parallel for schedule(dynamic, 1) num_threads(a->threads)
    for (int64_t part = 0; part < NARROW_PARTS; part++) found[part] = part_counted(c, first, part, sums + part * size);
    for (int64_t part = 0; part < NARROW_PARTS; part++) all = both(all, found[part]);
    add_sums(a, sums);
    free(sums);
    return all;
}

/* The buffers hold samples first .. of the batch from now on. */
static void begin_piece(chain_args *c, int64_t first) {
    int64_t live = MIN(c->piece, c->batch - first);
    for (lif_args *a = c->layer; a < c->layer + c->layers; a++) {
        a->batch = a->bits_batch = live;
        a->adds = first > 0;
    }
    if (c->bits) {
        c->layer->bits = c->bits + first * c->layer->words;
        c->layer->bits_batch = c->batch;
    } else c->layer->values = c->values + first * c->layer->inputs;
}

/* A piece's samples first .. through all layers. */
EXPORT void leanspike_chain_forward(chain_args *c, int64_t first) {
    begin_piece(c, first);
    for (int64_t i = 0; i < c->layers; i++) layer_forward(c->layer + i);
}

/* The piece that went forward last on its way back, from the gradients that its last layer was given. */
EXPORT void leanspike_chain_backward(chain_args *c) {
    for (int64_t i = c->layers - 1; i >= 0; i--) layer_backward(c->layer + i);
}

/* Returns 0, or 1 and does nothing where a label is no class. */
EXPORT int leanspike_chain(chain_args *c) {
    int64_t last = c->layers - 1, first = 0;
    verdict found = {0};
    for (int64_t i = 0; i < c->batch; i++)
        if (c->labels[i] < 0 || c->labels[i] >= c->layer[last].features) return 1;
    do {
        begin_piece(c, first);
        for (int64_t i = 0; i < last; i++) layer_forward(c->layer + i);
        found = both(found, last_counted(c, first));
        for (int64_t i = last - 1; i >= 0; i--) layer_backward(c->layer + i);
        first += c->piece;
    } while (first < c->batch);
    *c->loss = (float)found.loss;
    c->right = found.right;
    return 0;
}

#endif
