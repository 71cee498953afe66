/* A small, fast HTTP/1.1 server on loopback, so that a benchmark measures its client.
 *
 *   GET /b/<n>        n body bytes with a Content-Length
 *   GET /v/<n>        the same, with an ETag that differs from answer to answer: no two heads are alike
 *   GET /c/<n>/<k>    n body bytes in chunks of k bytes (the last one may be shorter)
 *
 * Byte i of a body is i % 251: the period is a prime, so a lost, doubled or moved block of any usual size shows.
 * One epoll loop, keep-alive always; every complete request in the input buffer is answered with one writev, so
 * pipelining works. Nothing is allocated for a request: big bodies come straight from one prepared block, chunked
 * ones are encoded into the buffer of their connection.
 *
 * Usage: server [--port N] [--cpu N]. Prints its port on stdout. Ends when stdin closes, so that it never outlives
 * the process that started it.
 */
#include "bench_net.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/uio.h>

enum {
    PATTERN_PERIOD = 251,
    BLOCK_LEN = PATTERN_PERIOD * 4096, /* about 1 MiB: stays in the second-level cache */
    BLOCK_SPAN = BLOCK_LEN - PATTERN_PERIOD, /* contiguous bytes from any phase of the pattern */
    IN_CAP = 16 * 1024,
    OUT_CAP = 512 * 1024, /* answers to an IN_CAP full of pipelined small requests; untouched pages cost nothing */
    COPY_LEN = 4096, /* bodies up to this are copied behind their head */
    HEAD_ROOM = 256, /* more than any head or chunk frame made here */
    SENDS_IN_A_ROW = 16, /* then the other connections have their turn */
};

struct connection {
    int fd;
    int waits_for_room;                     /* registered for EPOLLOUT and not for EPOLLIN */
    uint64_t body_left, body_pos;           /* the body being sent that is not in out */
    uint64_t chunk_len, chunk_left;         /* chunk_len 0: not chunked */
    int in_chunks;                          /* a chunked body, or its last chunk, is still to be encoded */
    size_t in_len, out_start, out_end;
    char in[IN_CAP];
    char out[OUT_CAP];
};

static char block[BLOCK_LEN];
static int epoll_fd;

static void append(struct connection *c, const void *bytes, size_t len)
{
    memcpy(c->out + c->out_end, bytes, len);
    c->out_end += len;
}

static void append_number(struct connection *c, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    append(c, digits + at, sizeof digits - at);
}

static void append_pattern(struct connection *c, size_t len)
{
    append(c, block + c->body_pos % PATTERN_PERIOD, len);
    c->body_pos += len;
    c->body_left -= len;
}

#define APPEND_TEXT(c, text) append((c), (text), sizeof(text) - 1)

/* Put the answer to one request line into out, or begin it. False for a request this server does not serve. */
static int begin_answer(struct connection *c, const char *line)
{
    static const char other[] = "only GET /b/<n>, GET /v/<n> and GET /c/<n>/<k> are served\n";
    static uint64_t n_varied = 0;
    char *after = NULL;
    int chunked = strncmp(line, "GET /c/", 7) == 0, varied = strncmp(line, "GET /v/", 7) == 0;
    if ((!chunked && !varied && strncmp(line, "GET /b/", 7) != 0) || line[7] < '0' || line[7] > '9')
        goto refuse;
    c->body_left = strtoull(line + 7, &after, 10);
    c->body_pos = 0;
    if (chunked) {
        if (*after != '/' || after[1] < '1' || after[1] > '9')
            goto refuse;
        c->chunk_len = strtoull(after + 1, &after, 10);
        c->chunk_left = 0;
    }
    if (*after != ' ')
        goto refuse;
    APPEND_TEXT(c, "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/octet-stream\r\n");
    if (chunked) {
        APPEND_TEXT(c, "Transfer-Encoding: chunked\r\n\r\n");
        c->in_chunks = 1;
        return 1;
    }
    if (varied) {
        APPEND_TEXT(c, "ETag: \"");
        append_number(c, ++n_varied, 16);
        APPEND_TEXT(c, "\"\r\n");
    }
    APPEND_TEXT(c, "Content-Length: ");
    append_number(c, c->body_left, 10);
    APPEND_TEXT(c, "\r\n\r\n");
    if (c->body_left <= COPY_LEN)
        append_pattern(c, (size_t)c->body_left);
    return 1;
refuse:
    c->body_left = 0;
    APPEND_TEXT(c, "HTTP/1.1 404 Not Found\r\nContent-Length: ");
    append_number(c, sizeof other - 1, 10);
    APPEND_TEXT(c, "\r\nConnection: close\r\n\r\n");
    APPEND_TEXT(c, other);
    return 0;
}

static void encode_chunks(struct connection *c)
{
    while (OUT_CAP - c->out_end > HEAD_ROOM) {
        if (c->chunk_left == 0) {
            if (c->body_left == 0) {
                APPEND_TEXT(c, "0\r\n\r\n");
                c->in_chunks = 0;
                return;
            }
            c->chunk_left = c->body_left < c->chunk_len ? c->body_left : c->chunk_len;
            append_number(c, c->chunk_left, 16);
            APPEND_TEXT(c, "\r\n");
        }
        size_t room = OUT_CAP - c->out_end - 2;
        size_t len = c->chunk_left < room ? (size_t)c->chunk_left : room;
        append_pattern(c, len);
        c->chunk_left -= len;
        if (c->chunk_left == 0)
            APPEND_TEXT(c, "\r\n");
    }
}

/* Fill the empty out buffer. False when the connection is to be closed after what is in it. */
static int fill(struct connection *c)
{
    size_t used = 0;
    int keep = 1;
    c->out_start = c->out_end = 0;
    while (keep) {
        if (c->in_chunks)
            encode_chunks(c);
        if (c->in_chunks || c->body_left > 0 || OUT_CAP - c->out_end < COPY_LEN + HEAD_ROOM)
            break;
        char *start = c->in + used;
        char *end = memmem(start, c->in_len - used, "\r\n\r\n", 4);
        if (!end) {
            keep = used > 0 || c->in_len < IN_CAP; /* a head larger than the buffer is not ours */
            break;
        }
        *end = '\0'; /* strtoull and strncmp stop here */
        keep = begin_answer(c, start);
        used = (size_t)(end + 4 - c->in);
    }
    memmove(c->in, c->in + used, c->in_len - used);
    c->in_len -= used;
    return keep;
}

static void wait_for(struct connection *c, int room)
{
    if (c->waits_for_room == room)
        return;
    struct epoll_event event = {.events = room ? EPOLLOUT : EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
    c->waits_for_room = room;
}

/* Send until nothing is left to answer or the socket is full. False: close the connection. */
static int serve(struct connection *c)
{
    int keep = 1;
    for (int n_sends = 0; n_sends < SENDS_IN_A_ROW; n_sends++) {
        int plain = !c->in_chunks && c->body_left > 0;
        if (c->out_start == c->out_end && !plain) {
            keep = fill(c);
            plain = !c->in_chunks && c->body_left > 0;
            if (c->out_end == 0) {
                wait_for(c, 0);
                return keep;
            }
        }
        struct iovec parts[2] = {{c->out + c->out_start, c->out_end - c->out_start},
                                 {block + c->body_pos % PATTERN_PERIOD, 0}};
        if (plain)
            parts[1].iov_len = c->body_left < BLOCK_SPAN ? (size_t)c->body_left : BLOCK_SPAN;
        ssize_t n = writev(c->fd, parts, plain ? 2 : 1);
        if (n < 0) {
            if (errno != EAGAIN || !keep)
                return 0;
            break;
        }
        size_t from_out = (size_t)n < parts[0].iov_len ? (size_t)n : parts[0].iov_len;
        c->out_start += from_out;
        c->body_pos += (size_t)n - from_out;
        c->body_left -= plain ? (size_t)n - from_out : 0;
        if (!keep)
            return 0;
        if (c->out_start == c->out_end && c->body_left == 0 && !c->in_chunks && c->in_len == 0) {
            wait_for(c, 0); /* everything is answered; no further look at the buffer needed */
            return 1;
        }
    }
    wait_for(c, 1);
    return 1;
}

static int on_readable(struct connection *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, IN_CAP - c->in_len, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->in_len += (size_t)n;
    return serve(c);
}

static void accept_all(int listen_fd)
{
    int fd, on = 1;
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = malloc(sizeof *c);
        if (!c)
            die("out of memory");
        memset(c, 0, offsetof(struct connection, in));
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on_loopback(uint64_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    socklen_t len = sizeof address;
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 4096) != 0)
        die_errno("listen");
    getsockname(fd, (struct sockaddr *)&address, &len);
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    char ignored[256];
    pin_if_asked(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < BLOCK_LEN; i++)
        block[i] = (char)(i % PATTERN_PERIOD);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_stdin = {.events = EPOLLIN, .data.ptr = ignored};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &on_stdin) != 0)
        die("stdin must be a pipe or a terminal: its end is the end of this server");
    int listen_fd = listen_on_loopback(option_number(argc, argv, "--port", 0));
    struct epoll_event on_listen = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &on_listen);
    for (;;) {
        int n_events = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < n_events; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                accept_all(listen_fd);
            } else if ((void *)c == ignored) {
                if (read(STDIN_FILENO, ignored, sizeof ignored) <= 0)
                    return 0;
            } else if (!(c->waits_for_room ? serve(c) : on_readable(c))) {
                close(c->fd);
                free(c);
            }
        }
    }
}
