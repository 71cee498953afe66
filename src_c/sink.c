/* sink.c: see sink.h. */
#define _GNU_SOURCE
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define RESERVE_AHEAD (64 * (uint64_t)MIB)
#define RESERVE_FROM ((uint64_t)MIB)   /* smaller rests are one or two writes: nothing to gain */
#define HUGE_PAGES_FROM (4 * MIB)
#define GROWTH_KNOWN 64   /* towards an announced length */
#define GROWTH_UNKNOWN 8
#define PAGE_SIZE ((uintptr_t)4096)
#define HUGE_PAGE_SIZE ((uintptr_t)2 << 20)
#define TMPFS_MAGIC 0x01021994 /* of linux/magic.h */

void qh_sink_init_memory(qh_sink *sink, char *memory, size_t len, size_t cap)
{
    *sink = (qh_sink){.kind = QH_SINK_MEMORY, .fd = -1, .memory = memory, .len = len, .cap = cap};
}

void qh_sink_init_descriptor(qh_sink *sink, int fd, uint64_t offset)
{
    *sink = (qh_sink){
        .kind = QH_SINK_DESCRIPTOR, .fd = fd, .reserves = true, .offset = offset, .reserved_to = offset};
}

qh_status qh_sink_write(qh_sink *sink, const char *data, size_t len)
{
    if (len == 0) /* memory may be NULL then */
        return QH_DONE;
    if (sink->kind == QH_SINK_MEMORY) {
        if (len > sink->cap - sink->len)
            return QH_FULL;
        memcpy(sink->memory + sink->len, data, len);
        sink->len += len;
    } else if (sink->kind == QH_SINK_DESCRIPTOR) {
        while (len > 0) {
            ssize_t n = pwrite(sink->fd, data, len, (off_t)sink->offset);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0) {
                sink->error = n < 0 ? errno : ENOSPC;
                return QH_E_SINK;
            }
            data += n;
            len -= (size_t)n;
            sink->offset += (uint64_t)n;
        }
    }
    return QH_DONE;
}

/* A file in memory has no extents to keep together: what is reserved is only zeroed before it is overwritten. */
static bool is_in_memory(int fd)
{
    struct statfs about;
    return fstatfs(fd, &about) == 0 && about.f_type == TMPFS_MAGIC;
}

void qh_sink_reserve(qh_sink *sink, uint64_t n_left)
{
    if (sink->kind != QH_SINK_DESCRIPTOR || !sink->reserves || n_left < RESERVE_FROM)
        return;
    uint64_t wanted = sink->offset + (n_left < RESERVE_AHEAD ? n_left : RESERVE_AHEAD);
    /* Half the stretch at a time: one call for each 32 MiB, not one for each write. */
    if (wanted <= sink->reserved_to || (wanted - sink->reserved_to < RESERVE_AHEAD / 2 && n_left > RESERVE_AHEAD))
        return;
    if (sink->reserved_to <= sink->offset && is_in_memory(sink->fd)) { /* the first time, as a rule the only one */
        sink->reserves = false;
        return;
    }
    uint64_t from = sink->reserved_to > sink->offset ? sink->reserved_to : sink->offset;
    if (fallocate(sink->fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(wanted - from)) == 0)
        sink->reserved_to = wanted;
    else if (errno != EINTR)
        sink->reserves = false; /* the write itself will say if the disk is full */
}

void qh_sink_release(qh_sink *sink)
{
    if (sink->kind != QH_SINK_DESCRIPTOR || sink->reserved_to <= sink->offset)
        return;
    off_t end = lseek(sink->fd, 0, SEEK_END);
    /* Truncating a file to the length it has drops what is reserved behind it. */
    if (end >= 0 && (uint64_t)end <= sink->offset && ftruncate(sink->fd, end) == 0)
        sink->reserved_to = sink->offset;
}

size_t qh_memory_next_cap(size_t len, size_t cap, uint64_t n_claimed)
{
    size_t growth = n_claimed > len ? GROWTH_KNOWN : GROWTH_UNKNOWN;
    size_t next = cap < MIB ? MIB : cap > SIZE_MAX / growth ? SIZE_MAX : cap * growth;
    if (n_claimed > len && n_claimed < next)
        next = (size_t)n_claimed;
    return next > cap ? next : cap;
}

void qh_memory_advise(char *memory, size_t cap, bool grows)
{
    if (cap < HUGE_PAGES_FROM)
        return;
    uintptr_t from = (uintptr_t)memory & ~(PAGE_SIZE - 1);
    uintptr_t end = (uintptr_t)memory + cap;
    uintptr_t to = grows ? (end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1) : end & ~(HUGE_PAGE_SIZE - 1);
    if (to > from)
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE); /* advice: a refusal costs nothing but speed */
}
