/* place.h: a file made whole and put in its place: written as a part, synced, renamed, closed. One struct, two steps, so
 * that whoever keeps a record of what is done can write it in between.
 *
 * A part is locked (flock) from its opening until it has its final name: two programs that fetch the same file cannot write
 * into one part. Whoever opens a part has to look, once it is locked, whether it is still the file under that name. */
#ifndef QH_PLACE_H
#define QH_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qh_place {
    const char *part, *path; /* names, NUL at the end */
    const char *data;        /* the whole of a small body; NULL: the part was written, and `fd` is open on it, locked */
    size_t len;
    int fd;                  /* -1 when it is closed */
    bool sync;               /* the bytes are on the disk before the file gets its name */
    bool replace;            /* a file under the final name may be replaced */
    bool is_named;           /* in: a small body goes into the part, too, and not into a file that has no name before its last
                                one; out: it did, the file system knows no other way */
    bool wants_ino;          /* `ino` is asked for */
    uint64_t size;           /* that the file must have */
    uint64_t ino;            /* of the file, after qh_place_write */
    int error;               /* errno of the step that failed; 0: none did. EWOULDBLOCK: the part is somebody else's */
} qh_place;

/* Opens a part for reading and writing, made where it is missing and emptied nowhere; locked, and looked at afterwards.
 * Returns the descriptor, or -1 with errno: EWOULDBLOCK is another program's lock, EEXIST something that is no file. */
int qh_part_open(const char *part);

/* Writes `data` into a file without a name (O_TMPFILE: a kill leaves nothing behind), or into the part, or takes the part behind
 * `fd` as it is; compares the size, syncs, notes the inode. Leaves it open and locked; after an error what `data` went into is closed
 * and gone. Returns 0, or -1 with `error` set. */
int qh_place_write(qh_place *place);

/* Gives the file its final name in one step, and closes it. Without `replace` an existing name fails with EEXIST and stays what it
 * is. After an error what a small body was written into is gone, a part stays open and locked. Returns 0, or -1 with `error` set. */
int qh_place_rename(qh_place *place);

/* Gives up a file that does not get its name: closed, and removed, if it is a small body's. */
void qh_place_abandon(qh_place *place);

/* Makes the entries of a folder durable: 0, or the errno. */
int qh_place_sync_folder(const char *folder);

#endif
