/* The simulated camera: what ../pixels.py says, one recording after the other. Integers only, so both agree exactly. */
#include <stdint.h>

#include "level.h"

#define EXPORT __attribute__((visibility("default")))
enum { FRACTION = 256 };

typedef struct {
    int64_t height, width, steps, refractory, most, shift;
    int64_t field_height, field_width;
    const int32_t *table, *on, *off, *leak;
    const int64_t *ticks, *windows; /* windows: row, column, down, right of every place, [steps + 1][4] */
} Camera;

typedef struct {
    int32_t *when, *pixel;
    uint8_t *rises;
    int64_t room;
} Found;

static void look(const Camera *camera, const uint8_t *field, const int64_t *window, int32_t *level) {
    const int64_t stride = camera->field_width;
    const int32_t down = (int32_t)window[2], right = (int32_t)window[3], up = FRACTION - down, left = FRACTION - right;
    for (int64_t y = 0; y < camera->height; y++) {
        const uint8_t *above = field + (window[0] + y) * stride + window[1], *below = above + stride;
        int32_t *row = level + y * camera->width;
        for (int64_t x = 0; x < camera->width; x++) {
            const int32_t high = above[x] * left + above[x + 1] * right, low = below[x] * left + below[x + 1] * right;
            row[x] = (high * up + low * down) >> camera->shift;
        }
        for (int64_t x = 0; x < camera->width; x++) row[x] = camera->table[row[x]];
    }
}

/* Floor, for a positive divisor. */
static int64_t divided(int64_t value, int64_t by) { return value / by - (value % by != 0 && value < 0); }

static int64_t crossing(int64_t start, int64_t end, int64_t crossed, int64_t moved) {
    if (!moved) return start;
    const int64_t way = (end - start) * crossed, share = moved < 0 ? divided(-way, -moved) : divided(way, moved);
    return start + (share < 0 ? 0 : share > end - start - 1 ? end - start - 1 : share);
}

/* Events of one recording in the order of steps; -1 where there is no room for them.
   scratch: 3 H W int32 and H W int64. */
EXPORT int64_t leanspike_film(const Camera *camera, const uint8_t *field, int32_t *scratch, int64_t *silent,
                              const Found *found) {
    const int64_t pixels = camera->height * camera->width;
    int32_t *before = scratch, *level = scratch + pixels, *memory = scratch + 2 * pixels;
    int64_t count = 0;
    look(camera, field, camera->windows, before);
    for (int64_t i = 0; i < pixels; i++) memory[i] = before[i], silent[i] = 0;
    for (int64_t step = 0; step < camera->steps; step++) {
        const int64_t start = camera->ticks[step], end = camera->ticks[step + 1];
        look(camera, field, camera->windows + 4 * (step + 1), level);
        for (int64_t i = 0; i < pixels; i++) {
            memory[i] -= camera->leak[i];
            if (camera->refractory && silent[i] > start) memory[i] = level[i];
        }
        for (int64_t i = 0; i < pixels; i++) {
            const int32_t rise = level[i] - memory[i];
            if (rise < camera->on[i] && -rise < camera->off[i]) continue;
            const int64_t theta = rise > 0 ? camera->on[i] : -camera->off[i], moved = level[i] - before[i];
            const int64_t fit = rise / theta, events = fit < camera->most ? fit : camera->most;
            if (count + events > found->room) return -1;
            for (int64_t nth = 1; nth <= events; nth++, count++) {
                const int64_t when = crossing(start, end, memory[i] - before[i] + nth * theta, moved);
                found->when[count] = (int32_t)when;
                found->pixel[count] = (int32_t)i;
                found->rises[count] = rise > 0;
                silent[i] = when + camera->refractory;
            }
            memory[i] += (int32_t)(events * theta);
        }
        int32_t *swapped = before;
        before = level, level = swapped;
    }
    return count;
}
