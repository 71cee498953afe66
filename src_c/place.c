/* place.c: see place.h. */
#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODE 0666     /* less the umask */
#define NOREPLACE 1u  /* RENAME_NOREPLACE of linux/fs.h; the call has a wrapper in new C libraries only */
#define OPENINGS 100  /* of one part, where others give it its final name in between each time */

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static void close_place(qh_place *place)
{
    if (place->fd >= 0)
        (void)close(place->fd);
    place->fd = -1;
}

/* One opening: the descriptor, -1 with errno; ESTALE: it was given another name before it was locked, or had one. */
static int open_once(const char *part, struct stat *about)
{
    struct stat named;
    int error = 0, fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, MODE);
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) /* a file system may have no locks */
        error = errno;
    else if (fstat(fd, about) < 0)
        error = errno;
    else if (!S_ISREG(about->st_mode))
        error = EEXIST;
    else if (lstat(part, &named) < 0 || named.st_ino != about->st_ino || named.st_dev != about->st_dev)
        error = ESTALE;
    else if (about->st_nlink > 1) /* it is a name of another file, too: that one must not be written into */
        error = unlink(part) == 0 ? ESTALE : errno;
    if (error == 0)
        return fd;
    (void)close(fd);
    errno = error;
    return -1;
}

static int open_part(const char *part, struct stat *about)
{
    int fd = -1;
    for (int i = 0; i < OPENINGS && fd < 0; i++) {
        fd = open_once(part, about);
        if (fd < 0 && errno != ESTALE)
            break;
    }
    return fd;
}

int qh_part_open(const char *part)
{
    struct stat about;
    return open_part(part, &about);
}

/* The folder of a path, in `folder`: false where it does not fit. */
static bool folder_of(const char *path, char *folder, size_t cap)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (len == 0 || len >= cap)
        return false;
    memcpy(folder, path, len);
    folder[len] = '\0';
    return true;
}

/* A file without a name on the file system of the path; -1: not here, or not at all (errno). */
static int open_nameless(const char *path)
{
    char folder[PATH_MAX];
    if (!folder_of(path, folder, sizeof folder)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);
}

/* Opens what a small body is written into. */
static int open_for_data(qh_place *place, struct stat *about)
{
    if (!place->is_named && !place->replace) {
        place->fd = open_nameless(place->path);
        if (place->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
            return place->fd;
    }
    place->is_named = true;
    place->fd = open_part(place->part, about);
    if (place->fd >= 0 && about->st_size > 0 && ftruncate(place->fd, 0) < 0) /* what an earlier run has left */
        return -1;
    return place->fd;
}

void qh_place_abandon(qh_place *place)
{
    if (!place->data)
        return;
    if (place->is_named && place->fd >= 0)
        (void)unlink(place->part); /* while it is locked */
    close_place(place);
}

/* A network file system sends on what it was given when a descriptor is closed, and only then tells what there was no room for:
 * so a copy of the descriptor is closed before the file gets its name. */
static int close_copy(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return fsync(fd) < 0 ? errno : 0; /* no descriptor is left; that tells, too */
    return close(copy) < 0 ? errno : 0;
}

int qh_place_write(qh_place *place)
{
    struct stat about = {0};
    int error = 0;
    if (place->data)
        error = open_for_data(place, &about) < 0 ? errno : write_all(place->fd, place->data, place->len);
    if (error == 0 && (!place->data || (place->wants_ino && !place->is_named)) && fstat(place->fd, &about) < 0)
        error = errno;
    if (error == 0 && !place->data && (uint64_t)about.st_size != place->size)
        error = EIO; /* somebody who does not care for locks has written into it */
    if (error == 0 && !place->sync)
        error = close_copy(place->fd);
    else if (error == 0 && fsync(place->fd) < 0)
        error = errno;
    place->error = error;
    if (error != 0) {
        qh_place_abandon(place); /* whoever has opened a part knows what to do with it */
        return -1;
    }
    place->ino = (uint64_t)about.st_ino;
    return 0;
}

/* For file systems that have neither RENAME_NOREPLACE nor links, as those over object stores: they have no call that would
 * exclude that somebody takes the name between the look and the renaming. */
static int rename_if_free(const qh_place *place)
{
    struct stat there;
    if (lstat(place->path, &there) == 0) {
        errno = EEXIST;
        return -1;
    }
    return errno == ENOENT ? rename(place->part, place->path) : -1;
}

static int rename_part(const qh_place *place)
{
    struct stat opened, named;
    if (fstat(place->fd, &opened) < 0 || lstat(place->part, &named) < 0)
        return -1;
    if (opened.st_ino != named.st_ino || opened.st_dev != named.st_dev) { /* somebody has put another file there */
        errno = ESTALE;
        return -1;
    }
    int result = place->replace ? rename(place->part, place->path)
                                : (int)syscall(SYS_renameat2, AT_FDCWD, place->part, AT_FDCWD, place->path, NOREPLACE);
    if (result < 0 && !place->replace && (errno == EINVAL || errno == ENOSYS)) { /* the file system has no such flag */
        result = link(place->part, place->path);
        if (result == 0)
            (void)unlink(place->part);
        else if (errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP)
            result = rename_if_free(place);
    }
    return result;
}

/* A file without a name gets one. Older kernels want a privilege for the short way, and take the one by /proc. */
static int link_nameless(const qh_place *place)
{
    char own[32];
    int result = linkat(place->fd, "", AT_FDCWD, place->path, AT_EMPTY_PATH);
    if (result < 0 && errno == ENOENT) {
        (void)snprintf(own, sizeof own, "/proc/self/fd/%d", place->fd);
        result = linkat(AT_FDCWD, own, AT_FDCWD, place->path, AT_SYMLINK_FOLLOW);
    }
    return result;
}

int qh_place_rename(qh_place *place)
{
    bool is_nameless = place->data && !place->is_named;
    int result = is_nameless ? link_nameless(place) : rename_part(place);
    place->error = result < 0 ? errno : 0;
    if (result < 0)
        qh_place_abandon(place);
    else
        close_place(place);
    return result;
}

int qh_place_sync_folder(const char *folder)
{
    int error = 0, fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    if (fsync(fd) < 0 && errno != EINVAL) /* not every file system can */
        error = errno;
    (void)close(fd);
    return error;
}
