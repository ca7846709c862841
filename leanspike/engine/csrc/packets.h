/* Packets of events in a byte stream; leanspike/stream/wire.py states the format. */
#ifndef LEANSPIKE_PACKETS_H
#define LEANSPIKE_PACKETS_H

enum { PACKET_HEAD = 24, EVENT_BYTES = 8, EVENT_PACKET = 0, VALUE_PACKET = 1, END_PACKET = 2 };
#define MOST_GAP (1ll << 40) /* no stream loses so much at once: the head is damaged */

/* `expected`: what the sender must have sent before the next packet, -1 at first; `lost` and `skipped` count. */
typedef struct {
    int64_t step_bytes, expected, lost, skipped;
} Cutter;

INLINE uint64_t little(const uint8_t *at, int bytes) {
    uint64_t found = 0;
    for (int i = 0; i < bytes; i++) found |= (uint64_t)at[i] << 8 * i;
    return found;
}

/* Bytes of the packet with this head; 0 where it is none. */
static int64_t packet_bytes(const Cutter *cutter, const uint8_t *head) {
    const int64_t count = (int64_t)little(head + 6, 2), first = (int64_t)little(head + 8, 8);
    if (memcmp(head, "LSE1", 4) || head[5] || first < 0) return 0;
    if (cutter->expected >= 0 && first - cutter->expected > MOST_GAP) return 0;
    switch (head[4]) {
        case EVENT_PACKET: return PACKET_HEAD + count * EVENT_BYTES;
        case VALUE_PACKET: return cutter->step_bytes ? PACKET_HEAD + count * cutter->step_bytes : 0;
        case END_PACKET: return count ? 0 : PACKET_HEAD;
        default: return 0;
    }
}

/* A gap in the sender's count is lost, until one of it comes late after all; a new sender begins at 0. */
static void account(Cutter *cutter, const uint8_t *head) {
    const int64_t count = (int64_t)little(head + 6, 2), first = (int64_t)little(head + 8, 8);
    if (cutter->expected < 0 || !first) cutter->expected = first;
    if (first < cutter->expected) {
        cutter->lost = MAX(0, cutter->lost - count);
        return;
    }
    cutter->lost += first - cutter->expected;
    cutter->expected = first + count;
}

static int64_t next_magic(const uint8_t *data, int64_t size, int64_t from) {
    int64_t at = from;
    while (at < size && memcmp(data + at, "LSE1", (size_t)MIN(4, size - at))) at++;
    return at;
}

/* Bytes of the packet at `at`, which is whole; else 0, after what is no packet was skipped up to where one may begin. */
EXPORT int64_t leanspike_packet(Cutter *cutter, const uint8_t *data, int64_t size, int64_t *at) {
    while (size - *at >= PACKET_HEAD) {
        const int64_t bytes = packet_bytes(cutter, data + *at);
        if (bytes) return bytes <= size - *at ? bytes : 0;
        const int64_t found = next_magic(data, size, *at + 1);
        cutter->skipped += found - *at;
        *at = found;
    }
    return 0;
}

/* A packet of another kind than events was taken. */
EXPORT void leanspike_packet_taken(Cutter *cutter, const uint8_t *head) { account(cutter, head); }

/* Events of the packets from `*at` on, up to the first that is no packet of events, is not whole, or does not fit; how
   many there are. */
EXPORT int64_t leanspike_packets_events(Cutter *cutter, const uint8_t *data, int64_t size, int64_t *at, Event *out,
                                        int64_t room) {
    int64_t found = 0;
    for (;;) {
        const int64_t bytes = leanspike_packet(cutter, data, size, at);
        const uint8_t *head = data + *at;
        if (!bytes || head[4] != EVENT_PACKET) return found;
        const int64_t count = (int64_t)little(head + 6, 2), base = (int64_t)little(head + 16, 8);
        if (count > room - found) return found;
        for (int64_t i = 0; i < count; i++) {
            const uint8_t *event = head + PACKET_HEAD + i * EVENT_BYTES;
            const uint32_t y = (uint32_t)little(event + 6, 2);
            out[found + i] = (Event){base + (int64_t)little(event, 4), (uint16_t)little(event + 4, 2),
                                     (uint16_t)(y & 0x7FFF), y >> 15};
        }
        account(cutter, head);
        found += count;
        *at += bytes;
    }
}

#endif
