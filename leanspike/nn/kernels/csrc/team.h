/* The threads that share one piece of work. A function that takes a team is called by every thread of it, does this
   thread's share and may stand at a barrier; alone, a team needs no parallel region around it.

   No parallel region may stand inside another one, not even inside one of a single thread: libgomp then starts new
   threads each time instead of waking those that wait, which takes milliseconds. */
#ifndef LEANSPIKE_TEAM_H
#define LEANSPIKE_TEAM_H

#include "vec.h"

typedef struct {
    int64_t id, size;
} team;

static const team ALONE = {0, 1};

/* Inside a parallel region: all its threads. */
static inline team everyone(void) { return (team){omp_get_thread_num(), omp_get_num_threads()}; }

static inline int leads(team t) { return t.id == 0; }

static inline void meet(team t) {
    if (t.size > 1) {
#pragma omp barrier
    }
}

/* The first of `count` items that is this thread's; its last one stands before the next thread's first. */
static inline int64_t share(int64_t count, team t) { return count * t.id / t.size; }
static inline int64_t share_end(int64_t count, team t) { return count * (t.id + 1) / t.size; }

/* The next item that no thread has taken yet. */
static inline int64_t take(int64_t *next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }

#endif
