/* The floor of the bulk comparison: one epoll loop, one request at a time on each of N connections, every body to a file
 * of its own.
 *
 * A file is never there in part: NAME.part is made anew, written, closed, and renamed to NAME, which must not exist yet.
 * A body that fits is gathered in memory and written at once; of a larger one up to 1 MiB is, where so much is there. With
 * --drop 1 bodies are counted and thrown away. A wrong status, a lack of Content-Length, a surplus byte, a closed
 * connection or a file that exists ends the program without a number.
 *
 * Usage: epoll_files --port N --list FILE --connections N (--folder DIR | --drop 1). FILE has a path in each line, the
 * name is what follows its last slash. Prints {"n_right", "n_bytes"}.
 */
#include "bench_net.h"

#include <fcntl.h>
#include <sys/epoll.h>

enum {
    RECEIVE_LEN = 256 * 1024,
    WRITE_LEN = 1024 * 1024,          /* of a body that is written as it comes, where so much is there */
    RESERVE_AHEAD = 64 * 1024 * 1024, /* as recv_file.c */
    GATHER_CAP = 64 * 1024,
    HEAD_CAP = 2048,
    NAME_CAP = 256,
    PATH_CAP = 4096,
    EVENTS_CAP = 256,
};

struct connection {
    int fd;
    int file_fd;        /* of a body that is written as it comes; -1: not open */
    int in_body;        /* the head is through, and what is still to come is not gathered */
    uint64_t body_left, written, reserved;
    size_t n_gathered;  /* bytes of an answer that is not complete, head included */
    char name[NAME_CAP];
    char gathered[HEAD_CAP + GATHER_CAP];
};

static char received[WRITE_LEN + RECEIVE_LEN];
static int folder_fd = -1, drops;
static uint64_t port, n_finished, n_bytes;
static FILE *list;

/* Request the next path of the list. False: there is none. */
static int request_next(struct connection *c)
{
    char path[PATH_CAP], request[PATH_CAP + 128];
    if (!fgets(path, sizeof path, list))
        return 0;
    path[strcspn(path, "\n")] = '\0';
    const char *slash = strrchr(path, '/');
    if (!slash || snprintf(c->name, NAME_CAP, "%s", slash + 1) >= NAME_CAP - (int)sizeof ".part")
        die("the list has a line that is no path");
    send_all(c->fd, request, make_request(request, sizeof request, port, path));
    return 1;
}

static void part_name(const struct connection *c, char *name)
{
    size_t len = strlen(c->name); /* leaves room: request_next() */
    memcpy(name, c->name, len);
    memcpy(name + len, ".part", sizeof ".part");
}

static void open_part(struct connection *c)
{
    char part[NAME_CAP];
    part_name(c, part);
    c->written = c->reserved = 0;
    c->file_fd = openat(folder_fd, part, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    if (c->file_fd < 0)
        die_errno(part);
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0)
            die_errno("write");
        bytes += n;
        len -= (size_t)n;
    }
}

static void place(struct connection *c)
{
    char part[NAME_CAP];
    part_name(c, part);
    if (close(c->file_fd) != 0)
        die_errno("close");
    c->file_fd = -1;
    if (renameat2(folder_fd, part, folder_fd, c->name, RENAME_NOREPLACE) != 0)
        die_errno(c->name);
}

/* Extents for what comes next, without lengthening the file; see recv_file.c. */
static void reserve(struct connection *c)
{
    uint64_t ahead = c->body_left < RESERVE_AHEAD ? c->body_left : RESERVE_AHEAD;
    (void)fallocate(c->file_fd, FALLOC_FL_KEEP_SIZE, (off_t)c->written, (off_t)ahead); /* only ever a help */
    c->reserved = c->written + ahead;
}

/* Take bytes of a body, which are to be opened a file for before; its last ones put the file in its place. */
static int take_body(struct connection *c, const char *bytes, size_t len)
{
    if (len > c->body_left)
        die("bytes after the end of the answer");
    if (!drops) {
        if (c->body_left > WRITE_LEN && c->written + len > c->reserved)
            reserve(c);
        write_all(c->file_fd, bytes, len);
        c->written += len;
    }
    c->body_left -= len;
    n_bytes += len;
    c->in_body = c->body_left > 0;
    if (!c->in_body && !drops)
        place(c);
    return !c->in_body;
}

/* What is there of a body, but not much more than one write. */
static size_t receive_body(struct connection *c)
{
    size_t len = 0;
    while (len < WRITE_LEN && len < c->body_left) {
        ssize_t n = recv(c->fd, received + len, RECEIVE_LEN, len > 0 ? MSG_DONTWAIT : 0);
        if (n < 0 && errno == EAGAIN && len > 0)
            break;
        if (n <= 0)
            die("the connection ended before the answer");
        len += (size_t)n;
    }
    return len;
}

/* Take what is there; true when the answer is complete. */
static int take(struct connection *c)
{
    if (c->in_body)
        return take_body(c, received, receive_body(c));
    char *start = c->n_gathered > 0 ? c->gathered : received; /* most answers come whole: they are not copied */
    size_t cap = c->n_gathered > 0 ? sizeof c->gathered : RECEIVE_LEN;
    ssize_t n = recv(c->fd, start + c->n_gathered, cap - c->n_gathered, 0);
    if (n <= 0)
        die("the connection ended before the answer, or its head is too large");
    size_t len = c->n_gathered + (size_t)n, head_len = parsed_head(start, len, &c->body_left);
    int gathers = head_len == 0 || (!drops && len - head_len < c->body_left && c->body_left <= GATHER_CAP);
    if (gathers && len <= sizeof c->gathered) {
        if (start == received)
            memcpy(c->gathered, received, len);
        c->n_gathered = len;
        return 0;
    }
    if (head_len == 0)
        die("the head is too large");
    c->n_gathered = 0;
    if (!drops)
        open_part(c);
    return take_body(c, start + head_len, len - head_len);
}

int main(int argc, char **argv)
{
    port = option_number(argc, argv, "--port", 0);
    drops = option_number(argc, argv, "--drop", 0) != 0;
    uint64_t n_connections = option_number(argc, argv, "--connections", 64), n_open = 0;
    list = fopen(option(argc, argv, "--list", ""), "r");
    if (!list)
        die_errno("--list");
    if (!drops && (folder_fd = open(option(argc, argv, "--folder", ""), O_DIRECTORY | O_PATH | O_CLOEXEC)) < 0)
        die_errno("--folder");
    struct connection *connections = calloc(n_connections, sizeof *connections);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || epoll_fd < 0)
        die("out of memory");
    for (uint64_t i = 0; i < n_connections; i++) {
        struct connection *c = &connections[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        c->file_fd = -1;
        c->fd = connect_loopback(port);
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
        if (!request_next(c))
            break;
        n_open++;
    }
    while (n_open > 0) {
        struct epoll_event events[EVENTS_CAP];
        int n_events = epoll_wait(epoll_fd, events, EVENTS_CAP, -1);
        for (int i = 0; i < n_events; i++) {
            struct connection *c = events[i].data.ptr;
            if (!take(c))
                continue;
            n_finished++;
            n_open -= !request_next(c);
        }
    }
    printf("{\"n_right\": %llu, \"n_bytes\": %llu}\n", (unsigned long long)n_finished, (unsigned long long)n_bytes);
    free(connections);
    return 0;
}
