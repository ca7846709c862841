/* What a sample did, as 64-bit integers in the caller's arrays. */
#ifndef LEANSPIKE_ANSWERS_H
#define LEANSPIKE_ANSWERS_H

#include "values.h"

/* Connections of one input that lie inside the image. */
static int64_t connections(const Plan *plan, const Op *op, int64_t input) {
    if (op->kind == DENSE) return plan->values[op->result].elements;
    if (op->kind == SPARSE_DENSE) return op->starts[input + 1] - op->starts[input];
    const int64_t place = input / op->channels, channel = input % op->channels;
    const Reach *across = op->across + place / op->width * op->reaches, *column = op->along + place % op->width;
    int64_t total = 0;
    for (int64_t k = 0; k < op->reaches && across[k].length; k++) {
        if (op->kind == CONV) {
            total += column->length;
            continue;
        }
        const uint32_t *row = op->starts + channel * op->block + column->from + across[k].from;
        for (uint32_t e = row[0]; e < row[1]; e++)
            total += (((const uint32_t *)op->weight)[e] >> 9) - (uint32_t)column->clipped < (uint32_t)column->length;
    }
    return total;
}

/* Synapses that the active inputs of this step reach: what is added, whatever the sums were started from. */
static int64_t reached(const Plan *plan, const Op *op, const char *arena) {
    const Value *x = plan->values + op->source;
    int64_t total = 0;
    for (int64_t i = 0; i < x->elements; i++)
        if (at(arena + x->data, (enum form)x->form, i)) total += connections(plan, op, i);
    return total;
}

/* Pairs of factors that meet and are not 0. */
static int64_t met(const Plan *plan, const Op *op, const char *arena) {
    const Value *a = plan->values + op->source, *b = plan->values + op->other;
    const void *left = arena + a->data, *right = arena + b->data;
    const int64_t tokens = op->size, others = op->width, channels = op->channels, all = op->heads * channels;
    int64_t total = 0;
    for (int64_t k = 0; k < (op->kind == SCORES ? all : op->heads * others); k++) {
        int64_t active = 0, reads = 0;
        for (int64_t n = 0; n < tokens; n++)
            active += op->kind == SCORES ? !!at(left, (enum form)a->form, n * all + k)
                                         : !!at(left, (enum form)a->form, (k / others * tokens + n) * others + k % others);
        if (op->kind == SCORES)
            for (int64_t m = 0; m < others; m++) reads += !!at(right, (enum form)b->form, m * all + k);
        else
            for (int64_t c = 0; c < channels; c++)
                reads += !!at(right, (enum form)b->form, k % others * all + k / others * channels + c);
        total += active * reads;
    }
    return total;
}

static int64_t active(const Plan *plan, const Op *op, const char *arena) {
    const Value *x = plan->values + op->source;
    int64_t total = 0;
    for (int64_t i = 0; i < x->elements; i++) total += !!at(arena + x->data, (enum form)x->form, i);
    return total;
}

static void count_operations(const Plan *plan, const Op *op, const char *arena, int64_t *count) {
    switch (op->kind) {
        case DENSE:
        case CONV:
        case SPARSE_DENSE:
        case SPARSE_CONV: *count += reached(plan, op, arena); break;
        case SCALE: *count += active(plan, op, arena); break;
        case SCORES:
        case VALUES: *count += met(plan, op, arena); break;
        default: break;
    }
}

static void copy_state(const Op *op, int64_t elements, int64_t *to, const char *arena) {
    const enum form form = op->state_bits == 16 ? I16 : I32;
    for (int64_t i = 0; i < elements; i++) to[i] = at(arena + op->state, form, i);
}

static void copy_states(const Plan *plan, int64_t *const *to, int64_t sample, const char *arena) {
    for (int64_t i = 0; i < plan->op_count; i++) {
        const Op *op = plan->ops + i;
        const Value *y = plan->values + op->result;
        const int64_t elements = y->elements;
        if (op->kind == DELAY)
            for (int64_t j = 0; j < elements; j++)
                to[3 * i][sample * elements + j] = at(arena + y->data, (enum form)y->form, j);
        if (op->kind != LIF && op->kind != INTEGRATE) continue;
        copy_state(op, elements, to[3 * i] + sample * elements, arena);
        if (op->hold)
            for (int64_t j = 0; j < elements; j++)
                to[3 * i + 1][sample * elements + j] = ((const int32_t *)(arena + op->hold))[j];
        if (op->adapts)
            for (int64_t j = 0; j < elements; j++)
                to[3 * i + 2][sample * elements + j] = ((const int32_t *)(arena + op->adapt))[j];
    }
}

static void record_step(const Plan *plan, const Job *job, int64_t b, int64_t t, const char *arena) {
    copy_states(plan, job->step_states, t * job->batch + b, arena);
    for (int64_t i = 0; i < plan->op_count; i++) {
        const Op *op = plan->ops + i;
        if (op->kind != LIF) continue;
        const Value *y = plan->values + op->result;
        int64_t *to = job->step_spikes[i] + (t * job->batch + b) * y->elements;
        for (int64_t j = 0; j < y->elements; j++) to[j] = at(arena + y->data, BITS, j);
    }
}

/* After `used` steps; the states of the steps that were not taken stay as they are. */
static void answer(const Plan *plan, const Job *job, int64_t b, int64_t used, const char *arena) {
    const int64_t *scores = (const int64_t *)(arena + plan->scores);
    int64_t best = 0;
    for (int64_t k = 1; k < plan->classes; k++)
        if (scores[k] > scores[best]) best = k;
    job->predictions[b] = best;
    job->steps[b] = used;
    memcpy(job->scores + b * plan->classes, scores, (size_t)plan->classes * 8);
    if (job->states) copy_states(plan, job->states, b, arena);
    for (int64_t t = used; job->step_states && t < plan->steps; t++)
        copy_states(plan, job->step_states, t * job->batch + b, arena);
}

#endif
