/* The engine: one sample after the other through all of its steps; samples of a batch on as many threads as asked.

   One translation unit, built once for each instruction set and loaded with ctypes; no dependency but libc. A thread
   lives for one call and has an arena of its own, so answers do not depend on the number of threads. */
#include "engine.h"

#include <pthread.h>

#include "encode.h"
#include "layers.h"
#include "level.h"
#include "products.h"
#include "values.h"

typedef struct {
    const Plan *plan;
    const Job *job;
    char *arena;
    int64_t *next;
    int *refused;
} Worker;

INLINE Listed *listed(const Plan *plan, char *arena) { return (Listed *)(arena + plan->event_counts); }

static Events events_of(char *arena, const Value *value, Listed found) {
    return (Events){(const uint32_t *)(arena + value->added), (const uint32_t *)(arena + value->removed),
                    value->form == BITS ? 0 : (const int32_t *)(arena + value->amounts), found.added, found.removed};
}

static void list_events(const Plan *plan, const Value *value, int64_t t, char *arena) {
    uint32_t *added = (uint32_t *)(arena + value->added), *removed = (uint32_t *)(arena + value->removed);
    int32_t *amounts = (int32_t *)(arena + value->amounts);
    void *data = arena + value->data, *pattern = arena + value->pattern;
    Listed *found = listed(plan, arena) + value->slot;
    if (value->form == BITS) {
        const int usual = plan->encoding == RATE && value == plan->values + plan->input;
        *found = list_spikes(data, pattern, value->elements, !t && !usual, !usual, added, removed);
    } else {
        const int64_t count = value->form == I16 ? list_amounts_int16_t(data, value->elements, added, amounts)
                                                 : list_amounts_int32_t(data, value->elements, added, amounts);
        *found = (Listed){count, 0, 1};
    }
}

/* Sums of the inputs that are usually active, for every synapse that reads them. */
static void usual_sums(const Plan *plan, char *arena) {
    const Value *input = plan->values + plan->input;
    uint64_t *pattern = (uint64_t *)(arena + input->pattern);
    if (!input->pattern) return; /* no synapse reads the input itself */
    usual_pattern(plan, arena, pattern);
    const Listed found = {list_bits(pattern, input->elements, (uint32_t *)(arena + input->added)), 0, 1};
    const Events events = events_of(arena, input, found);
    for (const Op *op = plan->ops; op < plan->ops + plan->op_count; op++)
        if (op->kind <= SPARSE_CONV && op->source == plan->input)
            synapse(op, 0, arena + op->base, &events, plan->values[op->result].elements);
}

static void execute(const Plan *plan, const Op *op, int64_t t, char *arena) {
    const Value *x = plan->values + op->source, *y = plan->values + op->result;
    void *from = arena + x->data, *to = arena + y->data;
    switch (op->kind) {
        case EVENTS: list_events(plan, x, t, arena); break;
        case DENSE:
        case CONV:
        case SPARSE_DENSE:
        case SPARSE_CONV: {
            const Listed found = listed(plan, arena)[x->slot];
            const Events events = events_of(arena, x, found);
            synapse(op, found.fresh ? 0 : arena + op->base, to, &events, y->elements);
            break;
        }
        case LIF:
            neurons(op, t, arena + op->state, from, op->hold ? (int32_t *)(arena + op->hold) : 0,
                    op->adapts ? (int32_t *)(arena + op->adapt) : 0, to, y->elements);
            if (op->coded) keep(op, arena + op->state, 0, y->elements);
            break;
        case INTEGRATE:
            neurons(op, t, arena + op->state, from, 0, 0, 0, y->elements);
            if (op->coded) keep(op, arena + op->state, to, y->elements);
            break;
        case SUM_POOL:
            if (x->form == BITS) sum_pool_bits(op, from, x->elements, to, y->elements);
            else if (x->form == I16) pool_int16_t(op, from, to, 0);
            else pool_int32_t(op, from, to, 0);
            break;
        case MAX_POOL:
            if (x->form == BITS) max_pool_bits(op, from, x->elements, to, y->elements);
            else if (x->form == I16) pool_int16_t(op, from, to, 1);
            else pool_int32_t(op, from, to, 1);
            break;
        case ADD:
            if (y->form == I16) add_int16_t(from, (void *)(arena + plan->values[op->other].data), y->elements, to);
            else add_int32_t(from, (void *)(arena + plan->values[op->other].data), y->elements, to);
            break;
        case WIDEN: widen(from, (enum form)x->form, x->elements, to, (enum form)y->form); break;
        case SCALE:
            if (y->form == I16) scale_int16_t(op, from, y->elements, to);
            else scale_int32_t(op, from, y->elements, to);
            break;
        case SCORES:
        case VALUES: product(op, y, from, arena + plan->values[op->other].data, to); break;
        case DELAY:
            if (x->form == y->form) memcpy(to, from, bytes_of(x));
            else widen(from, (enum form)x->form, x->elements, to, (enum form)y->form);
            break;
    }
}

static void encode_step(const Plan *plan, const int32_t *raw, uint32_t stream, int64_t t, char *arena) {
    const Value *input = plan->values + plan->input;
    uint64_t *words = (uint64_t *)(arena + input->data);
    switch (plan->encoding) {
        case DIRECT:
            if (!t) copy_raw(input, raw, arena);
            break;
        case SEQUENCE: copy_raw(input, raw + t * input->elements, arena); break;
        case RATE: rate_step(plan, mix(stream + (uint32_t)t), arena, words); break;
        case LATENCY: latency_step(plan, t, arena, words); break;
        case DELTA: delta_step(plan, raw + t, plan->steps, (int32_t *)(arena + plan->track), words); break;
    }
}

/* States and scores as before the first step. */
static void fresh(const Plan *plan, char *arena) {
    memset(arena + plan->state_begin, 0, (size_t)(plan->state_end - plan->state_begin));
    if (plan->encoding == DELTA)
        for (int64_t c = 0; c < plan->channels; c++) ((int32_t *)(arena + plan->track))[c] = (int32_t)plan->start;
}

static void begin(const Plan *plan, const int32_t *raw, char *arena) {
    fresh(plan, arena);
    if (plan->encoding == RATE || plan->encoding == LATENCY) look_up(plan, raw, arena);
    if (plan->encoding == RATE) usual_sums(plan, arena);
}

/* A score after step t, from the one before it (0 before the first) and what the readout's source gave. */
INLINE int64_t scored(const Plan *plan, int64_t t, int64_t before, int64_t x) {
    switch (plan->readout) {
        case COUNT:
        case MEMBRANE_MEAN: return before + x;
        case FIRST_SPIKE: return before ? before : x * (plan->steps - t);
        case MEMBRANE_MAX: return t ? MAX(before, x) : x;
        default: return x;
    }
}

static void score(const Plan *plan, int64_t t, char *arena) {
    const Value *source = plan->values + plan->source;
    const void *data = arena + source->data;
    int64_t *scores = (int64_t *)(arena + plan->scores);
    for (int64_t k = 0; k < plan->classes; k++) scores[k] = scored(plan, t, scores[k], at(data, (enum form)source->form, k));
}

static int decided(const Plan *plan, int64_t t, const char *arena) {
    const int64_t *scores = (const int64_t *)(arena + plan->scores);
    if (!plan->exits || t + 1 < plan->earliest || plan->classes < 2) return 0;
    int64_t best = MAX(scores[0], scores[1]), second = MIN(scores[0], scores[1]);
    for (int64_t k = 2; k < plan->classes; k++) {
        second = MAX(second, MIN(best, scores[k]));
        best = MAX(best, scores[k]);
    }
    return best - second >= plan->margin * (plan->readout == MEMBRANE_MEAN ? t + 1 : 1);
}

#include "answers.h"

static void run_sample(const Worker *worker, int64_t b) {
    const Plan *plan = worker->plan;
    const Job *job = worker->job;
    char *arena = worker->arena;
    const int32_t *raw = job->raw + b * plan->raw;
    const uint32_t stream = stream_of(plan, job->numbers ? job->numbers[b] : b);
    begin(plan, raw, arena);
    int64_t t = 0;
    for (int going = 1; going && t < plan->steps; t++) {
        encode_step(plan, raw, stream, t, arena);
        for (int64_t i = 0, layer = 0; i < plan->op_count; i++) {
            const Op *op = plan->ops + i;
            if (op->once && t) continue;
            execute(plan, op, t, arena);
            if (job->synaptic) count_operations(plan, op, arena, job->synaptic + op->operations * job->batch + b);
            if (job->spikes && op->kind == LIF)
                job->spikes[layer++ * job->batch + b] +=
                    count_bits((const uint64_t *)(arena + plan->values[op->result].data), plan->values[op->result].elements);
        }
        if (job->step_states) record_step(plan, job, b, t, arena);
        score(plan, t, arena);
        going = !decided(plan, t, arena);
    }
    answer(plan, job, b, t, arena);
}

static void *work(void *argument) {
    const Worker *worker = argument;
    const Plan *plan = worker->plan;
    const Job *job = worker->job;
    for (;;) {
        const int64_t b = __atomic_fetch_add(worker->next, 1, __ATOMIC_RELAXED);
        if (b >= job->batch) return 0;
        if (out_of_range(plan, job->raw + b * plan->raw)) {
            __atomic_store_n(worker->refused, 1, __ATOMIC_RELAXED);
            return 0;
        }
        run_sample(worker, b);
    }
}

/* 0, or 1 where a raw value is out of range (the answers are then undefined). Spike and synaptic counts add up. */
EXPORT int leanspike_engine_run(const Plan *plan, const Job *job) {
    int64_t next = 0;
    int refused = 0;
    const int64_t threads = MAX(1, MIN(job->threads, job->batch));
    Worker workers[threads];
    pthread_t started[threads];
    int64_t others = 0;
    for (int64_t i = 0; i < threads; i++)
        workers[i] = (Worker){plan, job, job->arenas + i * plan->arena_bytes, &next, &refused};
    while (others + 1 < threads && !pthread_create(&started[others], 0, work, &workers[others + 1])) others++;
    work(&workers[0]);
    for (int64_t i = 0; i < others; i++) pthread_join(started[i], 0);
    return refused;
}

#include "session.h"
#include "packets.h"
