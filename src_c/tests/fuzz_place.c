/* fuzz_place.c: files put in their places, in any setting and with any call of the system failing. What has its name is
 * whole; a name that was taken is not touched; a small body that gets no name leaves nothing behind, a part stays open and
 * locked; no descriptor is lost. On a file system in memory (TMPDIR), for speed. */
#include <dirent.h>

#include "fuzz.h"
#include "place.h"
#include "place_faults.h"

enum { PATH_CAP = 400, DATA_CAP = 200, N_PLACE_CHOICES = 6 };

/* ------------------------------------------------------------------------------------------------- a folder of ours */
typedef enum setting { FREE, HAS_FILE, HAS_FOLDER, HAS_LINK, HAS_DANGLING_LINK, HAS_FIFO, IS_LOCKED, N_SETTINGS } setting;
static char folder[PATH_CAP / 2], part[PATH_CAP], path[PATH_CAP];
static const char OLD[] = "what was there";

static void end_folder(void) { (void)rmdir(folder); }

static void begin_folder(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/qhttp-fuzz-XXXXXX", base ? base : "/dev/shm");
    HOLDS(mkdtemp(folder) != NULL && atexit(end_folder) == 0);
    (void)umask(022);
}

static void remove_name(const char *name)
{
    if (unlink(name) < 0 && errno == EISDIR)
        HOLDS(rmdir(name) == 0);
}

static void put_old(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    HOLDS(fd >= 0 && write(fd, OLD, sizeof OLD) == sizeof OLD);
    close(fd);
}

/* Makes what is there before; returns a descriptor that holds a lock, or -1. */
static int set_up(const char *name, setting what)
{
    int fd = -1;
    if (what == HAS_FILE || what == IS_LOCKED)
        put_old(name);
    else if (what == HAS_FOLDER)
        HOLDS(mkdir(name, 0700) == 0);
    else if (what == HAS_LINK || what == HAS_DANGLING_LINK)
        HOLDS(symlink(what == HAS_LINK ? "/dev/null" : "nothing/there", name) == 0);
    else if (what == HAS_FIFO)
        HOLDS(mkfifo(name, 0600) == 0);
    if (what == IS_LOCKED)
        HOLDS((fd = open(name, O_RDONLY)) >= 0 && flock(fd, LOCK_EX) == 0);
    return fd;
}

static bool is_file_of(const char *name, const char *data, size_t len)
{
    char text[DATA_CAP + 64];
    int fd = open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)len && memcmp(text, data, len) == 0;
}

/* Whether it is what set_up has made of it. */
static bool is_untouched(const char *name, setting what)
{
    struct stat about;
    if (lstat(name, &about) < 0)
        return what == FREE;
    static const mode_t KINDS[] = {0, S_IFREG, S_IFDIR, S_IFLNK, S_IFLNK, S_IFIFO, S_IFREG};
    return (about.st_mode & S_IFMT) == KINDS[what] && (KINDS[what] != S_IFREG || is_file_of(name, OLD, sizeof OLD));
}

static bool is_missing(const char *name)
{
    struct stat about;
    return lstat(name, &about) < 0 && errno == ENOENT;
}

static unsigned n_names(void)
{
    unsigned n = 0;
    DIR *list = opendir(folder);
    HOLDS(list != NULL);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(list);
    return n;
}

static int next_fd(void)
{
    int fd = dup(0);
    HOLDS(fd >= 0);
    close(fd);
    return fd;
}

/* ---------------------------------------------------------------------------------------------------------- the steps */
typedef struct plan {
    setting at_path, at_part;
    bool is_part, abandons, wrong_size, no_folder;
    size_t len;
    const char *data;
} plan;

/* The part as a transfer has written it: open, locked. -1: it could not be opened. */
static int open_written(const plan *p)
{
    int fd = qh_part_open(part);
    if (fd < 0)
        return -1;
    HOLDS(ftruncate(fd, 0) == 0 && pwrite(fd, p->data, p->len, 0) == (ssize_t)p->len);
    return fd;
}

static void expect_placed(const plan *p, const qh_place *place, bool was_nameless)
{
    struct stat about;
    HOLDS(place->error == 0 && place->fd == -1 && is_file_of(path, p->data, p->len));
    HOLDS(place->replace || p->at_path == FREE);
    HOLDS(lstat(path, &about) == 0 && (about.st_mode & 0777) == (p->at_part != FREE && !was_nameless ? 0600 : 0644));
    if (place->wants_ino || place->is_named || p->is_part)
        HOLDS(place->ino == (p->is_part || place->wants_ino ? (uint64_t)about.st_ino : place->ino));
    HOLDS(was_nameless ? is_untouched(part, p->at_part) : is_missing(part));
}

static void expect_refused(const plan *p, const qh_place *place)
{
    HOLDS(place->error != 0 && is_untouched(path, p->at_path));
    if (p->is_part) { /* it is its owner's, still locked */
        HOLDS(place->fd >= 0 && is_file_of(part, p->data, p->len));
        HOLDS(qh_part_open(part) == -1);
    } else {
        HOLDS(place->fd == -1);
        HOLDS(is_untouched(part, p->at_part) || (place->is_named && is_missing(part)) || fault.has_struck);
        HOLDS(!is_file_of(part, p->data, p->len) || p->len == 0 || is_untouched(part, p->at_part));
    }
    if (!fault.has_struck && !p->wrong_size && !p->no_folder && p->at_path != FREE && p->at_path != HAS_FOLDER &&
        (p->at_part == FREE || p->at_part == HAS_FILE))
        HOLDS(place->error == EEXIST && !place->replace);
}

static void run(const plan *p, qh_place *place)
{
    bool is_written, is_named = false;
    fault.is_on = true;
    is_written = qh_place_write(place) == 0;
    fault.is_on = false;
    HOLDS(is_written == (place->error == 0) && (!is_written || place->fd >= 0));
    HOLDS(is_untouched(path, p->at_path)); /* not before the second step */
    bool was_nameless = !p->is_part && !place->is_named;
    if (is_written && p->abandons) {
        qh_place_abandon(place);
        qh_place_abandon(place);
        HOLDS(is_untouched(path, p->at_path) && (p->is_part ? place->fd >= 0 : place->fd == -1));
        HOLDS(p->is_part || was_nameless || is_missing(part));
        return;
    }
    if (is_written) {
        fault.is_on = true;
        is_named = qh_place_rename(place) == 0;
        fault.is_on = false;
    }
    if (is_named)
        expect_placed(p, place, was_nameless);
    else
        expect_refused(p, place);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t input_len)
{
    static const int ERRORS[] = {EIO, ENOSPC, EINTR, EEXIST, EINVAL, EOPNOTSUPP, ENOENT, EWOULDBLOCK};
    if (input_len < N_PLACE_CHOICES || input_len > DATA_CAP)
        return 0;
    if (!folder[0])
        begin_folder();
    plan p = {.at_path = input[0] % 8 % HAS_FIFO,
              .at_part = input[0] / 8 % 8 % N_SETTINGS,
              .is_part = input[1] & 1,
              .abandons = (input[1] & 6) == 6,
              .wrong_size = (input[1] & 24) == 24,
              .no_folder = input[2] >= 240,
              .len = input_len - N_PLACE_CHOICES,
              .data = (const char *)input + N_PLACE_CHOICES};
    snprintf(part, sizeof part, "%s/%sa.part", folder, p.no_folder ? "none/" : "");
    snprintf(path, sizeof path, "%s/%sa", folder, p.no_folder ? "none/" : "");
    if (p.no_folder)
        p.at_path = p.at_part = FREE;
    int fd_before = next_fd(), path_lock = set_up(path, p.at_path), part_lock = set_up(part, p.at_part);
    qh_place place = {.part = part, .path = path, .data = p.data, .len = p.len, .fd = -1, .size = p.len + p.wrong_size,
                      .replace = input[1] & 32, .sync = input[1] & 64, .is_named = input[1] & 128, .wants_ino = input[2] & 1};
    fault.n_good = input[3] % 16;
    fault.n_bad = input[3] < 128;
    fault.error = ERRORS[input[4] % 8];
    fault.writes_nothing = input[5] & 4;
    fault.has_no_flag = input[5] & 1;
    fault.writes_little = input[5] & 2;
    fault.has_struck = false;
    if (p.is_part) {
        place.data = NULL;
        place.fd = open_written(&p);
        HOLDS(place.fd >= 0 || p.no_folder || (p.at_part != FREE && p.at_part != HAS_FILE));
        HOLDS(place.fd < 0 || p.at_part == FREE || p.at_part == HAS_FILE);
    }
    if (!p.is_part || place.fd >= 0)
        run(&p, &place);
    if (place.fd >= 0)
        close(place.fd);
    if (part_lock >= 0)
        close(part_lock);
    if (path_lock >= 0)
        close(path_lock);
    remove_name(part);
    remove_name(path);
    HOLDS(n_names() == 0 && fd_before == next_fd());
    return 0;
}
