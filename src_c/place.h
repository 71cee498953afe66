/* place.h: a file made whole and put in its place: written as a part, synced, closed, renamed. One struct, two steps, so
 * that whoever keeps a record of what is done can write it in between. */
#ifndef QH_PLACE_H
#define QH_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qh_place {
    const char *part, *path; /* names, NUL at the end; part may be as long as path */
    const char *data;        /* the whole of a small body; NULL: the part was written, and `fd` is open on it */
    size_t len;
    int fd;
    bool sync;               /* the bytes are on the disk before the file gets its name */
    bool replace;            /* a file under the final name may be replaced */
    uint64_t ino;            /* of the file, after qh_place_write */
    int error;               /* errno of the step that failed; 0: none did */
} qh_place;

/* Writes `data` into a fresh part, or takes the part behind `fd` as it is; syncs, notes the inode, closes. `fd` is closed in any
 * case, and a part that could not be written whole is removed if this call made it. Returns 0, or -1 with `error` set. */
int qh_place_write(qh_place *place);

/* Gives the part its final name in one step. Without `replace` an existing name fails with EEXIST and stays what it is.
 * Returns 0, or -1 with `error` set. */
int qh_place_rename(qh_place *place);

/* Makes the entries of a folder durable: 0, or the errno. */
int qh_place_sync_folder(const char *folder);

#endif
