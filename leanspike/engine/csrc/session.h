/* A session: a program over an endless stream of steps, its state kept between calls; scores over windows of steps.

   Steps come from a caller that has the step's raw values, or are cut from events by their times. Windows of `window`
   steps begin every `hop` steps. hop = window: scores run along, an exit may decide early, and with `reset` every window
   starts with fresh states, all of them as a sample does or those of the readout's own neurons. hop < window: the last
   `window` values of the readout's source are kept and scored anew at every hop. `plan` is the session's own copy, whose
   steps are the window's; a step without raw values takes the events of the frame. */
#ifndef LEANSPIKE_SESSION_H
#define LEANSPIKE_SESSION_H

typedef struct {
    int64_t t;
    uint16_t x, y;
    uint32_t on;
} Event;

typedef struct {
    const Plan *plan;
    char *arena;
    int64_t window, hop, reset, pausing, number;
    /* number: a sample's, for the rate encoding; windows that start afresh count on from it.
       events: those of ticks [start, start + ticks) fall into the step at hand, latest is the last that was taken; frame:
       bits, or 32-bit counts up to the raw type's highest; a jump of more than most_ahead ticks is damage, more than
       most_astray such events in a row are a clock that moved */
    int64_t width, height, polarities, ticks, most_ahead, most_astray;
    void *frame;
    int64_t *ring, *scores, *spikes;
    /* what moves: steps since the state was fresh, of this window, taken in all, computed; whether the window decided */
    int64_t t, in_window, steps, computed, decided, used;
    int64_t started, start, latest, astray;
    /* counts of events */
    int64_t taken, outside, late, ahead, moved;
} Session;

enum found { NOTHING, DECISION, STEPPED };
enum reset { CARRIED, READOUT, ALL };

static int64_t frame_words(const Session *s) { return words_of(s->plan->values[s->plan->input].elements); }

static void clear_frame(Session *s) {
    const Value *input = s->plan->values + s->plan->input;
    if (s->frame) memset(s->frame, 0, input->form == BITS ? (size_t)frame_words(s) * 8 : (size_t)input->elements * 4);
}

/* The step's raw values as the input; null: those of the step before again, or the events of the frame. */
static void session_encode(Session *s, const int32_t *raw) {
    const Plan *plan = s->plan;
    const Value *input = plan->values + plan->input;
    char *arena = s->arena;
    uint64_t *words = (uint64_t *)(arena + input->data);
    if (plan->encoding == RATE) {
        if (raw) {
            look_up(plan, raw, arena);
            usual_sums(plan, arena);
        }
        rate_step(plan, mix(stream_of(plan, s->number) + (uint32_t)s->t), arena, words);
    } else if (plan->encoding == DELTA) {
        delta_step(plan, raw, 1, (int32_t *)(arena + plan->track), words);
    } else if (raw) {
        copy_raw(input, raw, arena);
    } else if (s->frame) {
        if (input->form == BITS) memcpy(words, s->frame, (size_t)frame_words(s) * 8);
        else copy_raw(input, s->frame, arena);
        clear_frame(s);
    }
}

static void session_execute(Session *s, const int32_t *raw) {
    const Plan *plan = s->plan;
    session_encode(s, raw);
    for (int64_t i = 0, layer = 0; i < plan->op_count; i++) {
        const Op *op = plan->ops + i;
        if (op->once && s->t && !raw) continue;
        execute(plan, op, s->t, s->arena);
        if (op->kind == LIF)
            s->spikes[layer++] += count_bits((const uint64_t *)(s->arena + plan->values[op->result].data),
                                             plan->values[op->result].elements);
    }
    s->t++;
    s->computed++;
}

/* The scores of the last `window` steps, from the ring; steps in all are counted already. */
static void score_ring(Session *s) {
    const Plan *plan = s->plan;
    int64_t *scores = (int64_t *)(s->arena + plan->scores);
    memset(scores, 0, (size_t)plan->classes * 8);
    for (int64_t j = 0; j < s->window; j++) {
        const int64_t *row = s->ring + (s->steps + j) % s->window * plan->classes;
        for (int64_t k = 0; k < plan->classes; k++) scores[k] = scored(plan, j, scores[k], row[k]);
    }
}

static int slide(Session *s) {
    const Plan *plan = s->plan;
    const Value *source = plan->values + plan->source;
    int64_t *row = s->ring + s->steps % s->window * plan->classes;
    for (int64_t k = 0; k < plan->classes; k++) row[k] = at(s->arena + source->data, (enum form)source->form, k);
    s->steps++;
    if (++s->in_window < s->window) return 0;
    s->in_window -= s->hop;
    s->used = s->window;
    score_ring(s);
    return 1;
}

static int tumble(Session *s, int idle) {
    const Plan *plan = s->plan;
    int decision = 0;
    if (!idle) {
        score(plan, s->in_window, s->arena);
        decision = !s->decided && decided(plan, s->in_window, s->arena);
    }
    s->steps++;
    s->in_window++;
    decision |= !s->decided && s->in_window == s->window;
    if (decision) s->used = s->in_window;
    s->decided |= decision;
    if (s->in_window == s->window) s->in_window = 0;
    return decision;
}

/* What a window starts with. */
static void open_window(Session *s) {
    const Plan *plan = s->plan;
    if (s->reset == ALL) {
        if (s->steps) s->number++;
        fresh(plan, s->arena);
        s->t = 0;
    }
    for (const Op *op = plan->ops; s->reset == READOUT && op < plan->ops + plan->op_count; op++)
        if ((op->kind == LIF || op->kind == INTEGRATE) && op->result == plan->source) {
            const size_t bytes = (size_t)plan->values[op->result].elements * 4;
            memset(s->arena + op->state, 0, bytes);
            if (op->hold) memset(s->arena + op->hold, 0, bytes);
            if (op->adapts) memset(s->arena + op->adapt, 0, bytes);
        }
    memset(s->arena + plan->scores, 0, (size_t)plan->classes * 8);
    s->decided = 0;
}

/* One step; whether a decision came of it. Of a window that starts afresh and has decided, nothing more is computed. */
static int session_step(Session *s, const int32_t *raw) {
    if (s->hop == s->window && !s->in_window) open_window(s);
    const int idle = s->reset == ALL && s->decided;
    if (idle) clear_frame(s);
    else session_execute(s, raw);
    const int decision = s->hop == s->window ? tumble(s, idle) : slide(s);
    if (decision) memcpy(s->scores, s->arena + s->plan->scores, (size_t)s->plan->classes * 8);
    return decision;
}

/* As before the first step: states, windows and the clock. What was counted stays. */
EXPORT void leanspike_session_begin(Session *s) {
    fresh(s->plan, s->arena);
    clear_frame(s);
    s->t = s->in_window = s->decided = s->started = s->astray = 0;
}

/* A step of raw values (null: those of the step before again); -1 where one is out of range, and nothing is done. */
EXPORT int64_t leanspike_session_step(Session *s, const int32_t *raw, int64_t count) {
    const int32_t lowest = (int32_t)s->plan->raw_lowest, highest = (int32_t)s->plan->raw_highest;
    for (int64_t i = 0; raw && i < count; i++)
        if (raw[i] < lowest || raw[i] > highest) return -1;
    return session_step(s, raw) ? DECISION : NOTHING;
}

/* Close steps that end at `until` or before it: the first that decides, or with `pausing` any one. */
EXPORT int64_t leanspike_session_advance(Session *s, int64_t until) {
    while (s->started && until - s->start >= s->ticks) {
        s->start += s->ticks;
        const int decision = session_step(s, 0);
        if (decision || s->pausing) return decision ? DECISION : STEPPED;
    }
    return NOTHING;
}

/* Whether an event belongs to now or later; an event astray is counted, the last of too many sets the clock anew. */
static int on_time(Session *s, int64_t t) {
    const int64_t since = t - s->start;
    if (since >= 0 && since <= s->most_ahead) {
        s->astray = 0;
        return 1;
    }
    if (s->astray++ < s->most_astray) {
        if (since < 0) s->late++;
        else s->ahead++;
        return 0;
    }
    leanspike_session_begin(s);
    s->moved++;
    return 1;
}

/* Take events from `next` on into the frame of the step at hand, up to the first of another step; where that one is. */
static int64_t take(Session *s, const Event *events, int64_t next, int64_t count) {
    const int64_t start = s->start, width = s->width, height = s->height, polarities = s->polarities;
    const uint64_t ticks = (uint64_t)s->ticks;
    const int32_t highest = (int32_t)s->plan->raw_highest, bits = s->plan->values[s->plan->input].form == BITS;
    uint64_t *const words = s->frame;
    int32_t *const counts = s->frame;
    const int64_t first = next;
    int64_t outside = 0, latest = s->latest;
    for (; next < count; next++) {
        const Event event = events[next];
        if ((uint64_t)(event.t - start) >= ticks) break;
        if (event.x >= width || event.y >= height) {
            outside++;
            continue;
        }
        const int64_t place = (event.y * width + event.x) * polarities + (polarities == 2 && event.on);
        latest = MAX(latest, event.t);
        if (bits) words[place / 64] |= 1ull << place % 64;
        else counts[place] = MIN(counts[place] + 1, highest);
    }
    s->outside += outside;
    s->taken += next - first - outside;
    s->latest = latest;
    if (next > first) s->astray = 0;
    return next;
}

/* Events from `*next` on, up to the first decision (with `pausing`: step); `*next` is the first that was not taken. */
EXPORT int64_t leanspike_session_feed(Session *s, const Event *events, int64_t count, int64_t *next) {
    while (*next < count) {
        const int64_t t = events[*next].t;
        if (s->started && !on_time(s, t)) {
            ++*next;
            continue;
        }
        if (!s->started) {
            const int64_t past = t % s->ticks;
            s->start = t - (past < 0 ? past + s->ticks : past);
            s->latest = t;
            s->started = 1;
        }
        const int64_t found = leanspike_session_advance(s, t);
        if (found) return found;
        *next = take(s, events, *next, count);
    }
    return NOTHING;
}

/* The input of the last step, and what neurons hold and fired in it, as Job says of one sample and one step. */
EXPORT void leanspike_session_look(const Session *s, int64_t *input, int64_t *const *states, int64_t *const *spikes) {
    const Value *value = s->plan->values + s->plan->input;
    for (int64_t i = 0; i < value->elements; i++) input[i] = at(s->arena + value->data, (enum form)value->form, i);
    const Job job = {.batch = 1, .step_states = states, .step_spikes = spikes};
    record_step(s->plan, &job, 0, 0, s->arena);
}

#endif
