/* test_place_faults.c: files put in their places while one call of the system fails: what is told, what stays, that nothing
 * is left. */
#include <dirent.h>

#include "check.h"
#include "place.h"
#include "place_faults.h"

#define DATA "hello, world"
enum { DATA_LEN = sizeof DATA - 1, PATH_CAP = 300 };

static char folder[PATH_CAP - 64], part[PATH_CAP], path[PATH_CAP];

/* What goes into its place: a small body without a name before its last one, or in a part; or a part that was written. */
typedef enum manner { NAMELESS, NAMED, PART } manner;

static const struct {
    const char *name;
    manner manner;
    bool replace, sync, has_old_part;
    call which;
    unsigned n_good, n_bad;
    int error, write_error, rename_error;
} ROWS[] = {
    {"nameless_write_fails_failed", NAMELESS, false, false, false, CALL_WRITE, 0, 1, EIO, EIO, 0},
    {"nameless_write_interrupted_goes_on", NAMELESS, false, false, false, CALL_WRITE, 0, 2, EINTR, 0, 0},
    {"nameless_inode_unknown_failed", NAMELESS, false, false, false, CALL_FSTAT, 0, 1, EIO, EIO, 0},
    {"nameless_sync_fails_failed", NAMELESS, false, true, false, CALL_FSYNC, 0, 1, EDQUOT, EDQUOT, 0},
    {"nameless_needs_privilege_linked_by_proc", NAMELESS, false, false, false, CALL_LINKAT, 0, 1, ENOENT, 0, 0},
    {"nameless_needs_privilege_and_no_proc_failed", NAMELESS, false, false, false, CALL_LINKAT, 0, 2, ENOENT, 0, ENOENT},
    {"nameless_link_refused_failed", NAMELESS, false, false, false, CALL_LINKAT, 0, 1, EPERM, 0, EPERM},
    {"nameless_no_descriptors_failed", NAMELESS, false, false, false, CALL_OPEN, 0, 1, EMFILE, EMFILE, 0},
    {"nameless_flag_unknown_part_used", NAMELESS, false, false, false, CALL_OPEN, 0, 1, EINVAL, 0, 0},
    {"named_part_cannot_be_opened_failed", NAMED, false, false, false, CALL_OPEN, 0, 1, EACCES, EACCES, 0},
    {"named_part_unknown_failed", NAMED, false, false, false, CALL_FSTAT, 0, 1, EIO, EIO, 0},
    {"named_part_renamed_before_its_lock_opened_again", NAMED, false, false, false, CALL_LSTAT, 0, 3, ENOENT, 0, 0},
    {"named_part_renamed_each_time_failed", NAMED, false, false, false, CALL_LSTAT, 0, UINT_MAX, ENOENT, ESTALE, 0},
    {"named_old_part_not_emptied_failed", NAMED, false, false, true, CALL_FTRUNCATE, 0, 1, EIO, EIO, 0},
    {"named_rename_unknown_failed", NAMED, false, false, false, CALL_FSTAT, 1, 1, EIO, 0, EIO},
    {"named_name_unknown_failed", NAMED, false, false, false, CALL_LSTAT, 1, 1, EIO, 0, EIO},
    {"named_rename_refused_failed", NAMED, false, false, false, CALL_SYSCALL, 0, 1, EROFS, 0, EROFS},
    {"named_replacing_rename_refused_failed", NAMED, true, false, false, CALL_RENAME, 0, 1, EROFS, 0, EROFS},
    {"part_unknown_failed", PART, false, false, false, CALL_FSTAT, 0, 1, EIO, EIO, 0},
    {"part_sync_fails_failed", PART, false, true, false, CALL_FSYNC, 0, 1, EIO, EIO, 0},
    {"part_rename_unknown_failed", PART, false, false, false, CALL_FSTAT, 1, 1, EIO, 0, EIO},
    {"part_name_unknown_failed", PART, false, false, false, CALL_LSTAT, 0, 1, EIO, 0, EIO},
    {"part_rename_refused_failed", PART, false, false, false, CALL_SYSCALL, 0, 1, EACCES, 0, EACCES},
    {"part_replacing_rename_refused_failed", PART, true, false, false, CALL_RENAME, 0, 1, EACCES, 0, EACCES},
};

static bool has_content(const char *name)
{
    char text[64];
    int fd = open(name, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        close(fd);
    return n == DATA_LEN && memcmp(text, DATA, DATA_LEN) == 0;
}

static bool is_there(const char *name)
{
    struct stat about;
    return lstat(name, &about) == 0;
}

static unsigned n_names(void)
{
    unsigned n = 0;
    DIR *list = opendir(folder);
    require(list != NULL, "opendir");
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(list);
    return n;
}

static int next_fd(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static bool has_tmpfile(void)
{
    int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static qh_place begin_place(size_t i)
{
    qh_place place = {.part = part, .path = path, .fd = -1, .size = DATA_LEN, .wants_ino = true, .replace = ROWS[i].replace,
                      .sync = ROWS[i].sync, .is_named = ROWS[i].manner == NAMED};
    if (ROWS[i].has_old_part) {
        int fd = open(part, O_WRONLY | O_CREAT, 0600);
        require(fd >= 0 && write(fd, "old", 3) == 3 && close(fd) == 0, "old part");
    }
    if (ROWS[i].manner == PART) {
        place.fd = qh_part_open(part);
        require(place.fd >= 0 && pwrite(place.fd, DATA, DATA_LEN, 0) == DATA_LEN, "part");
    } else {
        place.data = DATA;
        place.len = DATA_LEN;
    }
    return place;
}

static void run_row(size_t i)
{
    int fd_before = next_fd(), rename_error = 0;
    qh_place place = begin_place(i);
    fault.is_on = true;
    fault.which = ROWS[i].which, fault.n_good = ROWS[i].n_good, fault.n_bad = ROWS[i].n_bad, fault.error = ROWS[i].error;
    int write_error = qh_place_write(&place) < 0 ? place.error : 0;
    if (write_error == 0)
        rename_error = qh_place_rename(&place) < 0 ? place.error : 0;
    fault.is_on = false;
    bool is_placed = write_error == 0 && rename_error == 0;
    expect(fault.has_struck, "nothing has failed");
    expect_n("error of writing", (uint64_t)write_error, (uint64_t)ROWS[i].write_error);
    expect_n("error of renaming", (uint64_t)rename_error, (uint64_t)ROWS[i].rename_error);
    expect(is_placed ? has_content(path) : !is_there(path), "%s", is_placed ? "it is not in its place" : "there is something");
    if (ROWS[i].manner == PART && !is_placed) {
        expect(has_content(part) && place.fd >= 0 && qh_part_open(part) == -1, "the part is gone, or not locked any more");
        close(place.fd);
        (void)unlink(part);
    } else if (ROWS[i].manner == NAMED && write_error && (ROWS[i].which == CALL_LSTAT || ROWS[i].which == CALL_FSTAT)) {
        (void)unlink(part); /* who knows whose it is: not place.c's to remove */
    }
    (void)unlink(path);
    expect_n("names", n_names(), 0);
    expect_n("next descriptor", (uint64_t)next_fd(), (uint64_t)fd_before);
}

static void test_writes_nothing(void)
{
    row("place_write_that_takes_nothing_disk_full");
    qh_place place = {.part = part, .path = path, .data = DATA, .len = DATA_LEN, .fd = -1, .size = DATA_LEN};
    fault.is_on = fault.writes_nothing = true;
    fault.which = CALL_WRITE, fault.n_good = 0, fault.n_bad = 1;
    expect(qh_place_write(&place) == -1, "it is written");
    fault.is_on = fault.writes_nothing = false;
    expect_n("error", (uint64_t)place.error, ENOSPC);
    expect_n("names", n_names(), 0);
}

static void test_neither_flag_nor_links(void)
{
    static const int ERRORS[] = {EPERM, ENOSYS, EOPNOTSUPP};
    for (size_t i = 0; i < sizeof ERRORS / sizeof ERRORS[0]; i++)
        for (int is_taken = 0; is_taken < 2; is_taken++) {
            row(is_taken ? "place_without_flag_and_links_taken_name_kept" : "place_without_flag_and_links_renamed");
            qh_place place = {.part = part, .path = path, .data = DATA, .len = DATA_LEN, .fd = -1, .size = DATA_LEN,
                              .is_named = true};
            int other = is_taken ? open(path, O_WRONLY | O_CREAT, 0600) : -1;
            if (is_taken)
                require(other >= 0 && close(other) == 0, "another's file");
            fault.is_on = fault.has_no_flag = true;
            fault.which = CALL_LINK, fault.n_good = 0, fault.n_bad = 1, fault.error = ERRORS[i];
            expect_n("writing", (uint64_t)qh_place_write(&place), 0);
            int result = qh_place_rename(&place);
            fault.is_on = fault.has_no_flag = false;
            expect_n("error", (uint64_t)(result < 0 ? place.error : 0), (uint64_t)(is_taken ? EEXIST : 0));
            expect(has_content(path) == !is_taken, "what has the name is wrong");
            expect_n("names", n_names(), 1);
            (void)unlink(path);
        }
}

/* Names without a folder are in the current one, which a file without a name cannot be made by. */
static void test_no_folder_in_the_name(void)
{
    row("place_name_without_folder_part_used");
    require(chdir(folder) == 0, "chdir");
    qh_place place = {.part = "a.part", .path = "a", .data = DATA, .len = DATA_LEN, .fd = -1, .size = DATA_LEN};
    expect(qh_place_write(&place) == 0 && place.is_named, "error %d, is_named %d", place.error, place.is_named);
    expect(qh_place_rename(&place) == 0 && has_content("a"), "error %d", place.error);
    require(unlink("a") == 0 && chdir("/") == 0, "chdir");
}

static void test_path_too_long(void)
{
    static char longer[PATH_MAX + 10];
    row("place_folder_too_long_part_used_and_refused");
    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    longer[PATH_MAX + 2] = '/';
    qh_place place = {.part = longer, .path = longer, .data = DATA, .len = DATA_LEN, .fd = -1, .size = DATA_LEN};
    expect(qh_place_write(&place) == -1, "it is written");
    expect_n("error", (uint64_t)place.error, ENAMETOOLONG);
}

int main(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/qhttp-faults-XXXXXX", base ? base : "/tmp");
    require(mkdtemp(folder) != NULL, "mkdtemp");
    snprintf(part, sizeof part, "%s/a.part", folder);
    snprintf(path, sizeof path, "%s/a", folder);
    bool can = has_tmpfile();
    for (size_t i = 0; i < N_ROWS(ROWS); i++) {
        if (ROWS[i].manner == NAMELESS && !can)
            continue; /* this file system makes none */
        row("place_%s", ROWS[i].name);
        fault.has_struck = false;
        run_row(i);
    }
    test_writes_nothing();
    test_neither_flag_nor_links();
    test_no_folder_in_the_name();
    test_path_too_long();
    require(rmdir(folder) == 0, "rmdir");
    return check_summary("place_faults");
}
