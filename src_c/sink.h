/* sink.h: where body bytes go: into memory, to a descriptor at an offset, or nowhere. A sink borrows
 * what it writes to; it allocates nothing, least of all from a length that a server claimed. */
#ifndef QH_SINK_H
#define QH_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "qh_status.h"

typedef enum qh_sink_kind {
    QH_SINK_NOTHING = 0, /* counted and dropped */
    QH_SINK_MEMORY,      /* memory[len..cap) is free; the owner gives more when it is full */
    QH_SINK_DESCRIPTOR,  /* pwrite at `offset` */
} qh_sink_kind;

typedef struct qh_sink {
    qh_sink_kind kind;
    int fd;
    int error;            /* errno of the write that failed */
    bool reserves;        /* the file system takes fallocate; false once it has refused */
    char *memory;
    size_t len, cap;
    uint64_t offset;      /* where the next byte goes */
    uint64_t reserved_to; /* space is reserved up to here */
} qh_sink;

void qh_sink_init_memory(qh_sink *sink, char *memory, size_t len, size_t cap);
void qh_sink_init_descriptor(qh_sink *sink, int fd, uint64_t offset);

/* Takes data[0..len): QH_DONE, QH_FULL (memory has no room for all of it: nothing was taken), or
 * QH_E_SINK with `error` set. Writes on until all is written. */
qh_status qh_sink_write(qh_sink *sink, const char *data, size_t len);

/* Reserves file space for the `n_left` bytes still to come, at most 64 MiB ahead of the offset, without
 * changing the file's length (fallocate with KEEP_SIZE). A file system that cannot is left alone. */
void qh_sink_reserve(qh_sink *sink, uint64_t n_left);

/* Gives back reserved space behind the offset: for a body that ended early. */
void qh_sink_release(qh_sink *sink);

/* How large memory should be that has `len` of `cap` bytes in use and may need `n_claimed` in all (0:
 * unknown): grows geometrically from 1 MiB, in large steps, since pages that nobody touches cost nothing and pages that
 * were touched before they could be huge cost twice; not beyond the claim. A false claim so costs address space, in
 * proportion to what was really received. */
size_t qh_memory_next_cap(size_t len, size_t cap, uint64_t n_claimed);

/* Asks for huge pages under memory[0..cap) where it is large enough to pay. Call again after a move. Memory that still
 * grows is advised to its last page: advice ends a mapping, and only one whole mapping can be moved. In memory that does
 * not, the last bytes are not worth a huge page of their own. */
void qh_memory_advise(char *memory, size_t cap, bool grows);

#endif
