/* guarded.h: input that stands wall to wall with a page nobody may touch, so that one byte read too far
 * ends the program, with or without sanitizers; and the ways to cut an input into pieces. */
#ifndef GUARDED_H
#define GUARDED_H

#include <sys/mman.h>

#include "check.h"

enum { GUARDED_CAP = 256 << 10, GUARD_LEN = 64 << 10 /* the largest page size around */ };

typedef enum guard_side { GUARD_BEHIND = 0, GUARD_BEFORE, N_GUARD_SIDES } guard_side;

/* Memory between two unreadable pages; a zeroed one maps itself at first use. */
typedef struct guarded {
    char *memory;
} guarded;

/* Room for `len` bytes that ends, or begins, at an unreadable page. What stood there before is gone. */
static inline char *guarded_room(guarded *region, size_t len, guard_side side)
{
    if (!region->memory) {
        char *all = mmap(NULL, GUARDED_CAP + 2 * GUARD_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        require(all != MAP_FAILED && mprotect(all + GUARD_LEN, GUARDED_CAP, PROT_READ | PROT_WRITE) == 0, "mmap");
        region->memory = all + GUARD_LEN;
    }
    require(len <= GUARDED_CAP, "guarded_room");
    return side == GUARD_BEFORE ? region->memory : region->memory + GUARDED_CAP - len;
}

static inline char *guarded_copy(guarded *region, const char *data, size_t len, guard_side side)
{
    char *room = guarded_room(region, len, side);
    if (len > 0)
        memcpy(room, data, len);
    return room;
}

/* An input of `len` bytes is cut in one of the ways 0..len: 0 is whole, len is byte by byte, all others are
 * one cut there. The length of the piece at `at`: */
static inline size_t piece_len(size_t way, size_t len, size_t at)
{
    if (way == len)
        return 1;
    return at < way ? way - at : len - at;
}

static inline void context_way(size_t way, size_t len, guard_side side, const char *more)
{
    const char *where = side == GUARD_BEFORE ? ", guard before" : "", *comma = more[0] ? ", " : "";
    if (way == 0)
        context("whole%s%s%s", where, comma, more);
    else if (way == len)
        context("byte by byte%s%s%s", where, comma, more);
    else
        context("cut at %zu%s%s%s", way, where, comma, more);
}

/* Every way on both sides of the guard. */
#define FOR_EACH_WAY(way, side, len)                                 \
    for (guard_side side = GUARD_BEHIND; side < N_GUARD_SIDES; side++) \
        for (size_t way = 0; way <= (len); way++)

#endif
