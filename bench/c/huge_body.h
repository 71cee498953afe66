/* Memory for one big body at a time: huge pages where the kernel has some, given back at once. */
#ifndef HUGE_BODY_H
#define HUGE_BODY_H

#include <sys/mman.h>

#include "bench_net.h"

enum { HUGE_LEN = 2 * 1024 * 1024 };

typedef struct huge_body {
    void *map;
    size_t mapped;
    char *bytes; /* on the border of a huge page */
} huge_body;

static inline huge_body map_body(uint64_t len)
{
    huge_body body = {.mapped = len + HUGE_LEN};
    body.map = mmap(NULL, body.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (body.map == MAP_FAILED)
        die_errno("mmap");
    body.bytes = (char *)(((uintptr_t)body.map + HUGE_LEN - 1) & ~(uintptr_t)(HUGE_LEN - 1));
    (void)madvise(body.bytes, len, MADV_HUGEPAGE); /* only ever a help */
    return body;
}

static inline void unmap_body(huge_body body) { munmap(body.map, body.mapped); }

/* What came with the head is copied; returns how much that is. */
static inline size_t begin_body(huge_body body, uint64_t len, const char *behind_head, size_t n)
{
    if (n > len)
        die("bytes after the end of the answer");
    memcpy(body.bytes, behind_head, n);
    return n;
}

#endif
