/* test_place.c: parts and their locks, files without a name, and final names: one step, nothing replaced, nothing left behind.
 * Some calls of the system are put before the real ones here, to fail on demand. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "place.h"

#define DATA "hello, world"
enum { DATA_LEN = sizeof DATA - 1, PATH_CAP = 300 };

/* ------------------------------------------------------------------------------------------ the system, with faults */
static struct {
    int syscall_error, fsync_error, tmpfile_error, flock_error, close_error;
    bool no_copies;         /* fcntl has no descriptor */
    unsigned n_interrupted; /* the next calls of write that do nothing */
    size_t write_cap;       /* bytes of one write; 0: as many as it likes */
} fault;

/* Quick enough to look it up each time. */
static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    require(function != NULL, name);
    return function;
}

static int failing(int error)
{
    errno = error;
    return -1;
}

long syscall(long number, ...)
{
    va_list given;
    long args[6];
    va_start(given, number);
    for (size_t i = 0; i < N_ROWS(args); i++)
        args[i] = va_arg(given, long);
    va_end(given);
    if (fault.syscall_error)
        return failing(fault.syscall_error);
    long (*next)(long, ...) = (long (*)(long, ...))real("syscall");
    return next(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

int fsync(int fd)
{
    int (*next)(int) = (int (*)(int))real("fsync");
    return fault.fsync_error ? failing(fault.fsync_error) : next(fd);
}

int close(int fd)
{
    int (*next)(int) = (int (*)(int))real("close");
    int result = next(fd);
    return fault.close_error ? failing(fault.close_error) : result;
}

int fcntl(int fd, int what, ...)
{
    int (*next)(int, int, ...) = (int (*)(int, int, ...))real("fcntl");
    va_list given;
    va_start(given, what);
    long argument = va_arg(given, long);
    va_end(given);
    return fault.no_copies ? failing(EMFILE) : next(fd, what, argument);
}

int flock(int fd, int operation)
{
    int (*next)(int, int) = (int (*)(int, int))real("flock");
    return fault.flock_error ? failing(fault.flock_error) : next(fd, operation);
}

int open(const char *path, int flags, ...)
{
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))real("open");
    va_list given;
    va_start(given, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(given, mode_t) : 0;
    va_end(given);
    if (fault.tmpfile_error && (flags & O_TMPFILE) == O_TMPFILE)
        return failing(fault.tmpfile_error);
    return next(path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t len)
{
    ssize_t (*next)(int, const void *, size_t) = (ssize_t(*)(int, const void *, size_t))real("write");
    if (fault.n_interrupted > 0) {
        fault.n_interrupted--;
        return failing(EINTR);
    }
    return next(fd, data, fault.write_cap && fault.write_cap < len ? fault.write_cap : len);
}

/* -------------------------------------------------------------------------------------------------- a folder of ours */
static char folder[PATH_CAP - 64], part[PATH_CAP], path[PATH_CAP];

static void make_folder(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/qhttp-place-XXXXXX", base ? base : "/tmp");
    require(mkdtemp(folder) != NULL, "mkdtemp");
    snprintf(part, sizeof part, "%s/a.part", folder);
    snprintf(path, sizeof path, "%s/a", folder);
}

/* How many names there are in it; `empties` removes them. */
static unsigned n_names(bool empties)
{
    unsigned n = 0;
    char name[PATH_CAP * 2];
    DIR *list = opendir(folder);
    require(list != NULL, "opendir");
    for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        n++;
        snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        if (empties && unlink(name) < 0)
            require(rmdir(name) == 0, "rmdir");
    }
    closedir(list);
    return n;
}

static unsigned n_descriptors(void)
{
    unsigned n = 0;
    DIR *list = opendir("/proc/self/fd");
    require(list != NULL, "opendir");
    while (readdir(list) != NULL)
        n++;
    closedir(list);
    return n;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    require(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0, "fopen");
}

/* "-": there is none. */
static const char *content(const char *name)
{
    static char text[200];
    FILE *file = fopen(name, "r");
    if (!file)
        return "-";
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    fclose(file);
    return text;
}

static void expect_content(const char *name, const char *want)
{
    const char *got = content(name);
    expect(strcmp(got, want) == 0, "%s has '%s', not '%s'", strrchr(name, '/'), got, want);
}

static bool has_tmpfile(void)
{
    int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* --------------------------------------------------------------------------------------------- small bodies, both ways */
typedef enum setting { FREE, TAKEN, TAKEN_BY_FOLDER, OLD_PART, PART_LOCKED, PART_IS_FOLDER, PART_IS_FIFO, PART_IS_LINK, NO_FOLDER } setting;

static const struct {
    const char *name;
    setting setting;
    bool is_named, replace, sync;
    int write_error, rename_error;
    const char *at_end, *part_at_end; /* contents; "-": nothing is there; NULL: not looked at */
} ROWS[] = {
    {"nameless_placed", FREE, false, false, false, 0, 0, DATA, "-"},
    {"nameless_synced_placed", FREE, false, false, true, 0, 0, DATA, "-"},
    {"nameless_final_name_taken_stays", TAKEN, false, false, false, 0, EEXIST, "mine", "-"},
    {"nameless_folder_in_the_way_stays", TAKEN_BY_FOLDER, false, false, false, 0, EEXIST, NULL, "-"},
    {"nameless_old_part_left_alone", OLD_PART, false, false, false, 0, 0, DATA, "old, and longer than what comes"},
    {"nameless_part_is_folder_no_matter", PART_IS_FOLDER, false, false, false, 0, 0, DATA, NULL},
    {"nameless_no_folder_failed", NO_FOLDER, false, false, false, ENOENT, 0, "-", "-"},
    {"named_placed", FREE, true, false, false, 0, 0, DATA, "-"},
    {"named_synced_placed", FREE, true, false, true, 0, 0, DATA, "-"},
    {"named_final_name_taken_stays", TAKEN, true, false, false, 0, EEXIST, "mine", "-"},
    {"named_folder_in_the_way_stays", TAKEN_BY_FOLDER, true, false, false, 0, EEXIST, NULL, "-"},
    {"named_old_part_overwritten", OLD_PART, true, false, false, 0, 0, DATA, "-"},
    {"named_part_of_somebody_else_failed", PART_LOCKED, true, false, false, EWOULDBLOCK, 0, "-", "old, and longer than what comes"},
    {"named_part_is_folder_failed", PART_IS_FOLDER, true, false, false, EISDIR, 0, "-", NULL},
    {"named_part_is_fifo_failed", PART_IS_FIFO, true, false, false, EEXIST, 0, "-", NULL},
    {"named_part_is_link_failed", PART_IS_LINK, true, false, false, ELOOP, 0, "-", NULL},
    {"named_no_folder_failed", NO_FOLDER, true, false, false, ENOENT, 0, "-", "-"},
    {"replacing_placed", FREE, false, true, false, 0, 0, DATA, "-"},
    {"replacing_final_name_taken_replaced", TAKEN, false, true, true, 0, 0, DATA, "-"},
    {"replacing_folder_in_the_way_stays", TAKEN_BY_FOLDER, false, true, false, 0, EISDIR, NULL, "-"},
};

static int set_up(setting setting)
{
    int fd = -1;
    (void)n_names(true);
    switch (setting) {
    case TAKEN:
        put(path, "mine");
        break;
    case TAKEN_BY_FOLDER:
        require(mkdir(path, 0700) == 0, "mkdir");
        break;
    case OLD_PART:
    case PART_LOCKED:
        put(part, "old, and longer than what comes");
        if (setting == PART_LOCKED)
            require((fd = open(part, O_RDONLY)) >= 0 && flock(fd, LOCK_EX) == 0, "flock");
        break;
    case PART_IS_FOLDER:
        require(mkdir(part, 0700) == 0, "mkdir");
        break;
    case PART_IS_FIFO:
        require(mkfifo(part, 0600) == 0, "mkfifo");
        break;
    case PART_IS_LINK:
        require(symlink("/dev/null", part) == 0, "symlink");
        break;
    case FREE:
    case NO_FOLDER:
        break;
    }
    return fd;
}

static qh_place small(const char *part_name, const char *path_name)
{
    return (qh_place){.part = part_name, .path = path_name, .data = DATA, .len = DATA_LEN, .fd = -1, .size = DATA_LEN, .wants_ino = true};
}

static void run_rows(void)
{
    for (size_t i = 0; i < N_ROWS(ROWS); i++) {
        char far_part[PATH_CAP], far_path[PATH_CAP];
        bool is_far = ROWS[i].setting == NO_FOLDER;
        row("place_%s", ROWS[i].name);
        int lock = set_up(ROWS[i].setting);
        unsigned n_before = n_descriptors();
        snprintf(far_part, sizeof far_part, "%s/none/a.part", folder);
        snprintf(far_path, sizeof far_path, "%s/none/a", folder);
        qh_place place = small(is_far ? far_part : part, is_far ? far_path : path);
        place.is_named = ROWS[i].is_named, place.replace = ROWS[i].replace, place.sync = ROWS[i].sync;
        int result = qh_place_write(&place);
        expect_n("result of writing", (uint64_t)-result, ROWS[i].write_error != 0);
        expect_n("error of writing", (uint64_t)place.error, (uint64_t)ROWS[i].write_error);
        if (ROWS[i].setting != TAKEN && ROWS[i].setting != TAKEN_BY_FOLDER)
            expect_content(path, "-"); /* not before the second step */
        if (result == 0) {
            struct stat about;
            expect(place.fd >= 0 && place.ino != 0, "it is not open, or has no inode");
            result = qh_place_rename(&place);
            expect_n("result of renaming", (uint64_t)-result, ROWS[i].rename_error != 0);
            expect_n("error of renaming", (uint64_t)place.error, (uint64_t)ROWS[i].rename_error);
            expect(result < 0 || (stat(path, &about) == 0 && about.st_ino == place.ino), "the inode is another one");
        }
        expect_n("descriptor", (uint64_t)(int64_t)place.fd, (uint64_t)-1);
        expect_n("descriptors", n_descriptors(), n_before);
        if (ROWS[i].at_end)
            expect_content(path, ROWS[i].at_end);
        if (ROWS[i].part_at_end)
            expect_content(part, ROWS[i].part_at_end);
        if (lock >= 0)
            close(lock);
    }
}

/* ------------------------------------------------------------------------------------------------- a system that fails */
static const struct {
    const char *name;
    int syscall_error, fsync_error, tmpfile_error, flock_error;
    unsigned n_interrupted;
    size_t write_cap;
    bool is_named, sync, is_taken;
    int write_error, rename_error;
} FAULT_ROWS[] = {
    {"no_tmpfile_part_used", 0, 0, EOPNOTSUPP, 0, 0, 0, false, false, false, 0, 0},
    {"old_kernel_part_used", 0, 0, EISDIR, 0, 0, 0, false, false, false, 0, 0},
    {"no_tmpfile_and_taken_stays", 0, 0, EOPNOTSUPP, 0, 0, 0, false, false, true, 0, EEXIST},
    {"tmpfile_refused_failed", 0, 0, EACCES, 0, 0, 0, false, false, false, EACCES, 0},
    {"no_flag_linked", EINVAL, 0, 0, 0, 0, 0, true, false, false, 0, 0},
    {"no_such_call_linked", ENOSYS, 0, 0, 0, 0, 0, true, false, false, 0, 0},
    {"no_flag_and_taken_stays", EINVAL, 0, 0, 0, 0, 0, true, false, true, 0, EEXIST},
    {"rename_refused_failed", EACCES, 0, 0, 0, 0, 0, true, false, false, 0, EACCES},
    {"no_locks_placed", 0, 0, 0, ENOLCK, 0, 0, true, false, false, 0, 0},
    {"interrupted_goes_on", 0, 0, 0, 0, 3, 0, false, false, false, 0, 0},
    {"few_bytes_at_once_goes_on", 0, 0, 0, 0, 0, 1, true, false, false, 0, 0},
    {"sync_fails_nameless_failed", 0, EIO, 0, 0, 0, 0, false, true, false, EIO, 0},
    {"sync_fails_named_failed", 0, EIO, 0, 0, 0, 0, true, true, false, EIO, 0},
};

static void run_fault_rows(void)
{
    for (size_t i = 0; i < N_ROWS(FAULT_ROWS); i++) {
        row("place_%s", FAULT_ROWS[i].name);
        (void)set_up(FAULT_ROWS[i].is_taken ? TAKEN : FREE);
        unsigned n_before = n_descriptors();
        qh_place place = small(part, path);
        place.is_named = FAULT_ROWS[i].is_named, place.sync = FAULT_ROWS[i].sync;
        fault.syscall_error = FAULT_ROWS[i].syscall_error, fault.fsync_error = FAULT_ROWS[i].fsync_error;
        fault.tmpfile_error = FAULT_ROWS[i].tmpfile_error, fault.flock_error = FAULT_ROWS[i].flock_error;
        fault.n_interrupted = FAULT_ROWS[i].n_interrupted, fault.write_cap = FAULT_ROWS[i].write_cap;
        (void)qh_place_write(&place);
        int write_error = place.error;
        if (write_error == 0)
            (void)qh_place_rename(&place);
        int rename_error = write_error == 0 ? place.error : 0;
        memset(&fault, 0, sizeof fault);
        expect_n("error of writing", (uint64_t)write_error, (uint64_t)FAULT_ROWS[i].write_error);
        expect_n("error of renaming", (uint64_t)rename_error, (uint64_t)FAULT_ROWS[i].rename_error);
        expect_content(path, FAULT_ROWS[i].is_taken ? "mine" : write_error || rename_error ? "-" : DATA);
        expect_content(part, "-");
        expect_n("descriptors", n_descriptors(), n_before);
    }
}

static void test_full_disk(void)
{
    struct rlimit limit, before;
    require(getrlimit(RLIMIT_FSIZE, &before) == 0, "getrlimit");
    signal(SIGXFSZ, SIG_IGN);
    for (int is_named = 0; is_named < 2; is_named++) {
        row("place_%s_disk_full_nothing_left", is_named ? "named" : "nameless");
        (void)set_up(FREE);
        qh_place place = small(part, path);
        place.is_named = is_named;
        limit = (struct rlimit){5, before.rlim_max};
        require(setrlimit(RLIMIT_FSIZE, &limit) == 0, "setrlimit");
        int result = qh_place_write(&place);
        require(setrlimit(RLIMIT_FSIZE, &before) == 0, "setrlimit");
        expect(result == -1 && place.error == EFBIG && place.fd == -1, "error %d, descriptor %d", place.error, place.fd);
        expect_n("names", n_names(false), 0);
    }
}

/* What a network file system does. Without a descriptor for a copy, fsync tells. */
static void test_told_at_close(void)
{
    for (int is_named = 0; is_named < 2; is_named++)
        for (int no_copies = 0; no_copies < 2; no_copies++) {
            row("place_%s_no_room_told_at_%s", is_named ? "named" : "nameless", no_copies ? "fsync" : "close");
            (void)set_up(FREE);
            unsigned n_before = n_descriptors();
            qh_place place = small(part, path);
            place.is_named = is_named;
            fault.no_copies = no_copies;
            *(no_copies ? &fault.fsync_error : &fault.close_error) = EDQUOT;
            int result = qh_place_write(&place);
            memset(&fault, 0, sizeof fault);
            expect(result == -1 && place.error == EDQUOT, "result %d, error %d", result, place.error);
            expect_n("names", n_names(false), 0);
            expect_n("descriptors", n_descriptors(), n_before);
        }
}

static void test_abandoned(void)
{
    for (int is_named = 0; is_named < 2; is_named++) {
        row("place_%s_abandoned_nothing_left", is_named ? "named" : "nameless");
        (void)set_up(FREE);
        unsigned n_before = n_descriptors();
        qh_place place = small(part, path);
        place.is_named = is_named;
        expect(qh_place_write(&place) == 0, "error %d", place.error);
        expect_n("names", n_names(false), (unsigned)place.is_named);
        qh_place_abandon(&place);
        qh_place_abandon(&place); /* twice is once */
        expect_n("names", n_names(false), 0);
        expect_n("descriptors", n_descriptors(), n_before);
    }
}

static void test_nameless_before_its_name(void)
{
    row("place_nameless_has_no_name_before_its_last_one");
    (void)set_up(FREE);
    qh_place place = small(part, path);
    bool can = has_tmpfile();
    expect(qh_place_write(&place) == 0, "error %d", place.error);
    expect(place.is_named != can, "is_named is %d", place.is_named);
    expect_n("names", n_names(false), can ? 0 : 1);
    expect(qh_place_rename(&place) == 0, "error %d", place.error);
    expect_content(path, DATA);
}

static void test_empty(void)
{
    row("place_nothing_is_an_empty_file");
    (void)set_up(FREE);
    qh_place place = small(part, path);
    place.data = "", place.len = 0, place.size = 0;
    expect(qh_place_write(&place) == 0 && qh_place_rename(&place) == 0, "error %d", place.error);
    expect_content(path, "");
}

/* ------------------------------------------------------------------------------------------------ parts that were written */
static const struct {
    const char *name;
    uint64_t size;
    bool is_taken, replace, is_gone;
    int write_error, rename_error;
    const char *at_end, *part_at_end;
} PART_ROWS[] = {
    {"placed", DATA_LEN, false, false, false, 0, 0, DATA, "-"},
    {"final_name_taken_both_stay", DATA_LEN, true, false, false, 0, EEXIST, "mine", DATA},
    {"final_name_taken_replaced", DATA_LEN, true, true, false, 0, 0, DATA, "-"},
    {"shorter_than_it_must_be_failed", DATA_LEN + 1, false, false, false, EIO, 0, "-", DATA},
    {"longer_than_it_must_be_failed", DATA_LEN - 1, false, false, false, EIO, 0, "-", DATA},
    {"gone_meanwhile_failed", DATA_LEN, false, false, true, 0, ENOENT, "-", "-"},
};

static void run_part_rows(void)
{
    for (size_t i = 0; i < N_ROWS(PART_ROWS); i++) {
        row("place_part_%s", PART_ROWS[i].name);
        (void)set_up(PART_ROWS[i].is_taken ? TAKEN : FREE);
        unsigned n_before = n_descriptors();
        int fd = qh_part_open(part);
        expect(fd >= 0 && pwrite(fd, DATA, DATA_LEN, 0) == DATA_LEN, "it cannot be opened and written");
        qh_place place = {.part = part, .path = path, .fd = fd, .replace = PART_ROWS[i].replace, .size = PART_ROWS[i].size, .sync = true};
        (void)qh_place_write(&place);
        expect_n("error of writing", (uint64_t)place.error, (uint64_t)PART_ROWS[i].write_error);
        if (PART_ROWS[i].is_gone)
            require(unlink(part) == 0, "unlink");
        if (place.error == 0) {
            (void)qh_place_rename(&place);
            expect_n("error of renaming", (uint64_t)place.error, (uint64_t)PART_ROWS[i].rename_error);
        }
        expect_content(path, PART_ROWS[i].at_end);
        expect_content(part, PART_ROWS[i].part_at_end);
        expect_n("still open", place.fd >= 0, PART_ROWS[i].write_error || PART_ROWS[i].rename_error);
        if (place.fd >= 0) { /* it stays locked until its owner has decided */
            expect(PART_ROWS[i].is_gone || qh_part_open(part) < 0, "a part that did not get its name is not locked");
            close(place.fd);
        }
        expect_n("descriptors", n_descriptors(), n_before);
    }
}

static void test_other_part_under_the_name(void)
{
    row("place_part_that_is_not_the_one_written_stays");
    (void)set_up(FREE);
    int fd = qh_part_open(part);
    expect(fd >= 0 && pwrite(fd, DATA, DATA_LEN, 0) == DATA_LEN, "it cannot be opened and written");
    qh_place place = {.part = part, .path = path, .fd = fd, .size = DATA_LEN};
    expect(qh_place_write(&place) == 0, "error %d", place.error);
    require(unlink(part) == 0, "unlink");
    put(part, "another's");
    expect(qh_place_rename(&place) == -1, "it is renamed");
    expect_n("error", (uint64_t)place.error, ESTALE);
    expect_content(path, "-");
    expect_content(part, "another's");
    close(place.fd);
}

static void test_locks(void)
{
    int first, second;
    row("place_part_open_twice_second_refused");
    (void)set_up(FREE);
    first = qh_part_open(part);
    expect(first >= 0, "errno %d", errno);
    second = qh_part_open(part);
    expect(second < 0 && errno == EWOULDBLOCK, "descriptor %d, errno %d", second, errno);

    row("place_part_renamed_while_open_a_new_one_is_made");
    require(rename(part, path) == 0, "rename");
    second = qh_part_open(part);
    expect(second >= 0, "errno %d", errno);
    close(first);
    close(second);

    row("place_part_closed_can_be_opened_with_what_is_in_it");
    put(part, "mine");
    first = qh_part_open(part);
    expect(first >= 0, "errno %d", errno);
    expect_content(part, "mine");
    close(first);
}

/* As a kill leaves it between link and unlink, where the file system has no better way; or as others may have made it. */
static void test_part_with_another_name(void)
{
    row("place_part_open_that_is_another_file_too_a_new_one_is_made");
    (void)set_up(FREE);
    put(path, "whole");
    require(link(path, part) == 0, "link");
    int fd = qh_part_open(part);
    expect(fd >= 0, "errno %d", errno);
    require(ftruncate(fd, 0) == 0, "ftruncate");
    expect_content(path, "whole");
    expect_content(part, "");
    close(fd);
}

static const struct {
    const char *name;
    setting setting;
    int error;
} OPEN_ROWS[] = {
    {"folder", PART_IS_FOLDER, EISDIR},
    {"fifo", PART_IS_FIFO, EEXIST},
    {"link", PART_IS_LINK, ELOOP},
    {"locked", PART_LOCKED, EWOULDBLOCK},
};

static void run_open_rows(void)
{
    for (size_t i = 0; i < N_ROWS(OPEN_ROWS); i++) {
        row("place_part_open_%s_refused", OPEN_ROWS[i].name);
        int lock = set_up(OPEN_ROWS[i].setting);
        unsigned n_before = n_descriptors();
        int fd = qh_part_open(part);
        expect(fd == -1 && errno == OPEN_ROWS[i].error, "descriptor %d, errno %d", fd, errno);
        expect_n("descriptors", n_descriptors(), n_before);
        if (lock >= 0)
            close(lock);
    }
}

static void test_sync_folder(void)
{
    row("place_sync_folder_good_missing_and_not_a_folder");
    (void)set_up(TAKEN);
    unsigned n_before = n_descriptors();
    expect_n("of a folder", (uint64_t)qh_place_sync_folder(folder), 0);
    expect_n("of none", (uint64_t)qh_place_sync_folder(part), ENOENT);
    expect_n("of a file", (uint64_t)qh_place_sync_folder(path), ENOTDIR);
    fault.fsync_error = EINVAL;
    expect_n("where it cannot be", (uint64_t)qh_place_sync_folder(folder), 0);
    fault.fsync_error = EIO;
    expect_n("where it fails", (uint64_t)qh_place_sync_folder(folder), EIO);
    fault.fsync_error = 0;
    expect_n("descriptors", n_descriptors(), n_before);
}

int main(void)
{
    make_folder();
    run_rows();
    run_fault_rows();
    test_full_disk();
    test_told_at_close();
    test_abandoned();
    test_nameless_before_its_name();
    test_empty();
    run_part_rows();
    test_other_part_under_the_name();
    test_locks();
    test_part_with_another_name();
    run_open_rows();
    test_sync_folder();
    (void)n_names(true);
    require(rmdir(folder) == 0, "rmdir");
    return check_summary("place");
}
