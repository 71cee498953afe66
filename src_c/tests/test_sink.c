/* test_sink.c: memory, descriptors and nothing; space reserved and given back; how memory grows. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "guarded.h"
#include "sink.h"
#include "sockets.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static uint64_t file_len(int fd)
{
    struct stat about;
    require(fstat(fd, &about) == 0, "fstat");
    return (uint64_t)about.st_size;
}

static uint64_t file_space(int fd)
{
    struct stat about;
    require(fstat(fd, &about) == 0, "fstat");
    return (uint64_t)about.st_blocks * 512;
}

/* ------------------------------------------------------------------------------------------- memory */
static const struct {
    const char *name;
    size_t len, cap;
    bytes data;
    qh_status status;
} MEMORY_ROWS[] = {
    {"empty_memory_nothing_done", 0, 0, B(""), QH_DONE},
    {"empty_memory_full", 0, 0, B("a"), QH_FULL},
    {"exact_room_done", 0, 5, B("hello"), QH_DONE},
    {"exact_rest_done", 3, 8, B("hello"), QH_DONE},
    {"one_short_full", 4, 8, B("hello"), QH_FULL},
    {"no_rest_full", 8, 8, B("h"), QH_FULL},
    {"no_rest_nothing_done", 8, 8, B(""), QH_DONE},
    {"roomy_done", 3, 100, B("\0\xff"), QH_DONE},
};

static void run_memory_rows(void)
{
    static guarded memory, input;
    for (size_t i = 0; i < N_ROWS(MEMORY_ROWS); i++) {
        qh_sink sink;
        const bytes data = MEMORY_ROWS[i].data;
        size_t len = MEMORY_ROWS[i].len, cap = MEMORY_ROWS[i].cap;
        char *room = memset(guarded_room(&memory, cap, GUARD_BEHIND), '.', cap);
        row("sink_memory_%s", MEMORY_ROWS[i].name);
        qh_sink_init_memory(&sink, room, len, cap);
        expect_status(qh_sink_write(&sink, guarded_copy(&input, data.at, data.len, GUARD_BEHIND), data.len),
                      MEMORY_ROWS[i].status);
        size_t taken = MEMORY_ROWS[i].status == QH_DONE ? data.len : 0;
        expect_n("len", sink.len, len + taken);
        expect_bytes("memory", room + len, taken, (bytes){data.at, taken});
        for (size_t k = 0; k < cap; k++)
            expect((k >= len && k < len + taken) || room[k] == '.', "byte %zu was overwritten", k);
    }
    qh_sink sink;
    row("sink_memory_that_is_not_there_yet_full");
    qh_sink_init_memory(&sink, NULL, 0, 0);
    expect_status(qh_sink_write(&sink, "a", 1), QH_FULL);
    row("sink_memory_that_is_not_there_yet_nothing_done");
    expect_status(qh_sink_write(&sink, "a", 0), QH_DONE);
}

/* --------------------------------------------------------------------------------------- descriptors */
static void test_offsets(void)
{
    int fd = nameless_file();
    qh_sink first, second;
    char text[16] = {0};
    row("sink_descriptor_at_offsets_each_its_place");
    qh_sink_init_descriptor(&first, fd, 2);
    qh_sink_init_descriptor(&second, fd, 6);
    expect_status(qh_sink_write(&second, "ghi", 3), QH_DONE);
    expect_status(qh_sink_write(&first, "cd", 2), QH_DONE);
    expect_status(qh_sink_write(&first, "", 0), QH_DONE);
    expect_status(qh_sink_write(&first, "ef", 2), QH_DONE);
    expect_status(qh_sink_write(&second, "j", 1), QH_DONE);
    expect_n("first offset", first.offset, 6);
    expect_n("second offset", second.offset, 10);
    expect_n("position of the descriptor", (uint64_t)lseek(fd, 0, SEEK_CUR), 0);
    expect_bytes("file", text, (size_t)pread(fd, text, sizeof text, 0), (bytes)B("\0\0cdefghij"));
    close(fd);
}

static void test_nothing(void)
{
    qh_sink sink = {.kind = QH_SINK_NOTHING};
    row("sink_nothing_takes_all");
    expect_status(qh_sink_write(&sink, "hello", 5), QH_DONE);
    qh_sink_reserve(&sink, GIB);
    qh_sink_release(&sink);
    expect(sink.reserved_to == 0 && sink.len == 0, "it noted something");
}

/* Descriptors that cannot be written to, and one that takes 10 bytes (RLIMIT_FSIZE). */
typedef enum bad_fd { DEV_FULL, READ_ONLY, CLOSED, PIPE, LIMITED } bad_fd;
static const struct {
    const char *name;
    bad_fd which;
    int error;
    uint64_t offset, offset_after;
} ERROR_ROWS[] = {
    {"disk_full", DEV_FULL, ENOSPC, 4, 4},
    {"read_only", READ_ONLY, EBADF, 4, 4},
    {"closed", CLOSED, EBADF, 4, 4},
    {"pipe", PIPE, ESPIPE, 0, 0},
    {"beyond_size_limit", LIMITED, EFBIG, 12, 12},
    {"beyond_size_limit_partly", LIMITED, EFBIG, 4, 10},
};

static int bad_descriptor(bad_fd which)
{
    int fds[2], fd = -1;
    switch (which) {
    case DEV_FULL:
        fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
        break;
    case READ_ONLY:
        fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        break;
    case CLOSED:
        return -1;
    case PIPE:
        require(pipe(fds) == 0, "pipe");
        close(fds[0]);
        fd = fds[1];
        break;
    case LIMITED:
        fd = nameless_file();
        break;
    }
    require(fd >= 0, "open");
    return fd;
}

static void limit_file_size(rlim_t cap)
{
    struct rlimit limit;
    require(getrlimit(RLIMIT_FSIZE, &limit) == 0, "getrlimit");
    limit.rlim_cur = cap < limit.rlim_max ? cap : limit.rlim_max;
    require(setrlimit(RLIMIT_FSIZE, &limit) == 0, "setrlimit");
}

static void run_error_rows(void)
{
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < N_ROWS(ERROR_ROWS); i++) {
        qh_sink sink;
        int fd = bad_descriptor(ERROR_ROWS[i].which);
        row("sink_descriptor_%s_failed", ERROR_ROWS[i].name);
        qh_sink_init_descriptor(&sink, fd, ERROR_ROWS[i].offset);
        if (ERROR_ROWS[i].which == LIMITED)
            limit_file_size(10);
        qh_status status = qh_sink_write(&sink, "0123456789abcdef", 16);
        limit_file_size(RLIM_INFINITY);
        expect_status(status, QH_E_SINK);
        expect_n("errno", (uint64_t)sink.error, (uint64_t)ERROR_ROWS[i].error);
        expect_n("offset", sink.offset, ERROR_ROWS[i].offset_after);
        if (fd >= 0)
            close(fd);
    }
}

/* ------------------------------------------------------------------------------------------ reserving */
static const struct {
    const char *name;
    uint64_t offset, reserved_to, n_left, reserved_to_after;
} RESERVE_ROWS[] = {
    {"nothing_left_unchanged", 0, 0, 0, 0},
    {"small_rest_unchanged", 0, 0, MIB - 1, 0},
    {"one_mib_reserved", 0, 0, MIB, MIB},
    {"all_of_a_rest_reserved", 5, 5, 3 * MIB, 5 + 3 * MIB},
    {"64_mib_reserved", 0, 0, 64 * MIB, 64 * MIB},
    {"large_rest_64_mib_reserved", 0, 0, 10 * GIB, 64 * MIB},
    {"false_claim_64_mib_reserved", 0, 0, INT64_MAX, 64 * MIB},
    {"reserved_already_unchanged", 0, 64 * MIB, 10 * GIB, 64 * MIB},
    {"less_than_half_used_unchanged", 31 * MIB, 64 * MIB, 10 * GIB, 64 * MIB},
    {"half_used_reserved_on", 32 * MIB, 64 * MIB, 10 * GIB, 96 * MIB},
    {"near_the_end_reserved_on", 20 * MIB, 64 * MIB, 50 * MIB, 70 * MIB},
    {"reserved_to_the_end_unchanged", 20 * MIB, 64 * MIB, 44 * MIB, 64 * MIB},
    {"written_beyond_reserved_on", 8 * MIB, 4 * MIB, 2 * MIB, 10 * MIB},
};

static bool can_reserve(int fd)
{
    bool can = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
    require(ftruncate(fd, 0) == 0, "ftruncate");
    return can;
}

static void run_reserve_rows(int fd)
{
    bool can = can_reserve(fd);
    for (size_t i = 0; i < N_ROWS(RESERVE_ROWS); i++) {
        qh_sink sink;
        uint64_t before = RESERVE_ROWS[i].reserved_to, after = RESERVE_ROWS[i].reserved_to_after;
        uint64_t offset = RESERVE_ROWS[i].offset;
        bool can_here = can && !(before <= offset && is_in_memory(fd));
        row("sink_reserve_%s", RESERVE_ROWS[i].name);
        qh_sink_init_descriptor(&sink, fd, offset);
        sink.reserved_to = before;
        qh_sink_reserve(&sink, RESERVE_ROWS[i].n_left);
        expect_n("file length", file_len(fd), 0);
        expect_n("offset", sink.offset, offset);
        expect_n("reserved_to", sink.reserved_to, can_here ? after : before);
        expect(!can_here || file_space(fd) >= after - (before > offset ? before : offset), "no space was reserved");
        require(ftruncate(fd, 0) == 0, "ftruncate");
    }
}

static void test_reserve_refused(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    qh_sink sink;
    row("sink_reserve_refused_writes_go_on");
    qh_sink_init_descriptor(&sink, fd, 0);
    qh_sink_reserve(&sink, GIB);
    expect(!sink.reserves && sink.reserved_to == 0, "it was not refused");
    qh_sink_reserve(&sink, GIB);
    expect_status(qh_sink_write(&sink, "hello", 5), QH_DONE);
    close(fd);
}

static void test_reserve_in_memory(void)
{
    int fd = memfd_create("sink", MFD_CLOEXEC);
    qh_sink sink;
    require(fd >= 0, "memfd_create");
    row("sink_reserve_file_in_memory_left_alone_writes_go_on");
    qh_sink_init_descriptor(&sink, fd, 5);
    for (int i = 0; i < 2; i++) {
        qh_sink_reserve(&sink, GIB);
        expect(!sink.reserves, "it was not left alone");
        expect_n("space", file_space(fd), 0);
    }
    expect_status(qh_sink_write(&sink, "hello", 5), QH_DONE);
    expect_n("file length", file_len(fd), 10);
    close(fd);

    row("sink_reserve_closed_descriptor_refused");
    qh_sink_init_descriptor(&sink, -1, 0);
    qh_sink_reserve(&sink, GIB);
    expect(!sink.reserves && sink.reserved_to == 0, "it was reserved");
}

/* `in_file` bytes are in the file, the sink stands at `offset`; what is reserved goes, the bytes stay. */
static const struct {
    const char *name;
    uint64_t in_file, offset;
    bool given_back;
} RELEASE_ROWS[] = {
    {"nothing_written_given_back", 0, 0, true},
    {"some_written_given_back", 5, 5, true},
    {"offset_beyond_file_given_back", 5, 100, true},
    {"file_goes_on_behind_kept", 5000, 5, false},
};

static void run_release_rows(int fd)
{
    if (!can_reserve(fd) || is_in_memory(fd))
        return;
    for (size_t i = 0; i < N_ROWS(RELEASE_ROWS); i++) {
        qh_sink sink;
        row("sink_release_%s", RELEASE_ROWS[i].name);
        require(ftruncate(fd, (off_t)RELEASE_ROWS[i].in_file) == 0, "ftruncate");
        qh_sink_init_descriptor(&sink, fd, RELEASE_ROWS[i].offset);
        qh_sink_reserve(&sink, 2 * MIB);
        qh_sink_release(&sink);
        expect_n("file length", file_len(fd), RELEASE_ROWS[i].in_file);
        expect(RELEASE_ROWS[i].given_back == (file_space(fd) < MIB), "%llu bytes of space are taken",
               (unsigned long long)file_space(fd));
        qh_sink_release(&sink); /* twice is once */
        expect_n("file length", file_len(fd), RELEASE_ROWS[i].in_file);
        require(ftruncate(fd, 0) == 0, "ftruncate");
    }
}

static void test_release_refused(void)
{
    static const bad_fd REFUSING[] = {READ_ONLY, PIPE};
    row("sink_release_refused_nothing_noted");
    for (size_t i = 0; i < N_ROWS(REFUSING); i++) {
        qh_sink sink;
        int fd = bad_descriptor(REFUSING[i]);
        qh_sink_init_descriptor(&sink, fd, 0);
        sink.reserved_to = MIB;
        qh_sink_release(&sink);
        expect_n("reserved_to", sink.reserved_to, MIB);
        close(fd);
    }
}

/* -------------------------------------------------------------------------------------------- growing */
static const struct {
    const char *name;
    size_t len, cap;
    uint64_t n_claimed;
    size_t next;
} GROWTH_ROWS[] = {
    {"first_of_unknown_1_mib", 0, 0, 0, MIB},
    {"first_of_small_claim_exact", 0, 0, 100, 100},
    {"first_of_large_claim_1_mib", 0, 0, GIB, MIB},
    {"first_of_1_mib_exact", 0, 0, MIB, MIB},
    {"small_memory_1_mib", 100, 100, 0, MIB},
    {"unknown_eightfold", MIB, MIB, 0, 8 * MIB},
    {"below_claim_64fold", MIB, MIB, GIB, 64 * MIB},
    {"last_step_exact", 4 * MIB, 4 * MIB, 5 * MIB, 5 * MIB},
    {"claim_reached_eightfold", 4 * MIB, 4 * MIB, 4 * MIB, 32 * MIB},
    {"claim_passed_eightfold", 4 * MIB, 4 * MIB, MIB, 32 * MIB},
    {"claim_fits_unchanged", MIB, 4 * MIB, 2 * MIB, 4 * MIB},
    {"false_claim_64fold", MIB, MIB, INT64_MAX, 64 * MIB},
    {"claim_one_more_than_used_exact", 4 * MIB, 4 * MIB, 4 * MIB + 1, 4 * MIB + 1},
    {"claim_of_64fold_exact", MIB, MIB, 64 * MIB, 64 * MIB},
    {"claim_of_64fold_and_one_64fold", MIB, MIB, 64 * MIB + 1, 64 * MIB},
    {"just_below_1_mib_1_mib", MIB - 1, MIB - 1, 0, MIB},
    {"a_64th_of_all_64fold", SIZE_MAX / 64, SIZE_MAX / 64, UINT64_MAX, SIZE_MAX / 64 * 64},
    {"more_than_a_64th_of_all_all", SIZE_MAX / 64 + 1, SIZE_MAX / 64 + 1, UINT64_MAX, SIZE_MAX},
    {"all_unchanged", SIZE_MAX, SIZE_MAX, 0, SIZE_MAX},
    {"an_eighth_of_all_eightfold", SIZE_MAX / 8, SIZE_MAX / 8, 0, SIZE_MAX / 8 * 8},
    {"more_than_an_eighth_of_all_all", SIZE_MAX / 8 + 1, SIZE_MAX / 8 + 1, 0, SIZE_MAX},
};

static void run_growth_rows(void)
{
    for (size_t i = 0; i < N_ROWS(GROWTH_ROWS); i++) {
        row("sink_next_cap_%s", GROWTH_ROWS[i].name);
        expect_n("next", qh_memory_next_cap(GROWTH_ROWS[i].len, GROWTH_ROWS[i].cap, GROWTH_ROWS[i].n_claimed),
                 GROWTH_ROWS[i].next);
    }
}

static void test_advise(void)
{
    size_t cap = 33 * MIB;
    char *memory = malloc(cap);
    require(memory != NULL, "malloc");
    row("sink_advise_any_alignment_memory_unchanged");
    for (size_t skip = 0; skip < 3; skip++) {
        memory[skip] = 'a';
        memory[cap - 1] = 'z';
        qh_memory_advise(memory + skip, cap - skip, skip % 2 == 0);
        qh_memory_advise(memory + skip, 5, true); /* too small to pay */
        expect(memory[skip] == 'a' && memory[cap - 1] == 'z', "memory changed");
    }
    free(memory);
}

int main(void)
{
    int fd = nameless_file();
    run_memory_rows();
    test_offsets();
    test_nothing();
    run_error_rows();
    run_reserve_rows(fd);
    test_reserve_refused();
    test_reserve_in_memory();
    run_release_rows(fd);
    test_release_refused();
    run_growth_rows();
    test_advise();
    close(fd);
    return check_summary("sink");
}
