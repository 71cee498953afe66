/* place.c: see place.h. */
#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODE 0666 /* less the umask */
#define NOREPLACE 1u /* RENAME_NOREPLACE of linux/fs.h; the call has a wrapper in new C libraries only */

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

int qh_place_write(qh_place *place)
{
    struct stat about;
    bool is_new = place->data != NULL;
    int error = 0;
    if (is_new) {
        place->fd = open(place->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE);
        if (place->fd < 0) {
            place->error = errno;
            return -1;
        }
        error = write_all(place->fd, place->data, place->len);
    }
    if (error == 0 && place->sync && fsync(place->fd) < 0)
        error = errno;
    if (error == 0 && fstat(place->fd, &about) < 0)
        error = errno;
    if (close(place->fd) < 0 && error == 0 && errno != EINTR) /* Linux has closed it even then */
        error = errno;
    place->fd = -1;
    if (error != 0 && is_new)
        (void)unlink(place->part);
    place->ino = error == 0 ? (uint64_t)about.st_ino : 0;
    place->error = error;
    return error == 0 ? 0 : -1;
}

int qh_place_rename(qh_place *place)
{
    int result = place->replace ? rename(place->part, place->path)
                                : (int)syscall(SYS_renameat2, AT_FDCWD, place->part, AT_FDCWD, place->path, NOREPLACE);
    if (result < 0 && !place->replace && (errno == EINVAL || errno == ENOSYS)) { /* the file system has no such flag */
        result = link(place->part, place->path);
        if (result == 0)
            (void)unlink(place->part);
    }
    place->error = result < 0 ? errno : 0;
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
