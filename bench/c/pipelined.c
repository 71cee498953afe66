/* The floor for pipelining: one epoll loop, N connections, up to D requests in flight on each, M in all.
 *
 * After each receive as many requests follow, in one send, as answers were completed by it. Status and length of every
 * answer are checked; bodies are counted and thrown away.
 *
 * Usage: pipelined --port N --path P --length L --connections N --depth D --requests M [--cpu N]. Prints one line of
 * JSON.
 */
#include "bench_net.h"

#include <sys/epoll.h>

enum { RECEIVE_CAP = 256 * 1024, HEAD_CAP = 2048, REQUEST_CAP = 1024 };

struct connection {
    int fd;
    uint64_t n_in_flight;
    uint64_t body_left;
    size_t head_len; /* bytes of an incomplete head kept in head */
    char head[HEAD_CAP];
};

static char received[HEAD_CAP + RECEIVE_CAP];

/* Take what one receive brought; gives how many answers became complete. */
static uint64_t take(struct connection *c, uint64_t body_len)
{
    uint64_t n_complete = 0;
    memcpy(received, c->head, c->head_len);
    ssize_t n = recv(c->fd, received + c->head_len, RECEIVE_CAP, 0);
    if (n <= 0)
        die("the connection ended before the answer");
    char *at = received, *end = received + c->head_len + n;
    c->head_len = 0;
    while (at < end) {
        if (c->body_left == 0) {
            if (n_complete == c->n_in_flight)
                die("bytes after the end of the last answer");
            size_t head_len = checked_head(at, (size_t)(end - at), body_len);
            if (head_len == 0) {
                if (end - at > HEAD_CAP)
                    die("the head is too large");
                c->head_len = (size_t)(end - at);
                memcpy(c->head, at, c->head_len);
                break;
            }
            at += head_len;
            c->body_left = body_len;
        }
        uint64_t len = (uint64_t)(end - at) < c->body_left ? (uint64_t)(end - at) : c->body_left;
        at += len;
        c->body_left -= len;
        n_complete += c->body_left == 0;
    }
    c->n_in_flight -= n_complete;
    return n_complete;
}

int main(int argc, char **argv)
{
    pin_if_asked(argc, argv);
    uint64_t port = option_number(argc, argv, "--port", 0);
    uint64_t body_len = option_number(argc, argv, "--length", 0);
    uint64_t n_connections = option_number(argc, argv, "--connections", 1);
    uint64_t depth = option_number(argc, argv, "--depth", 8);
    uint64_t n_requests = option_number(argc, argv, "--requests", 1);
    char request[REQUEST_CAP];
    size_t request_len = make_request(request, sizeof request, port, option(argc, argv, "--path", "/"));
    if (body_len == 0)
        die("--length must not be 0");
    if (n_connections > n_requests)
        n_connections = n_requests;
    double wall_start = wall_now_s(), cpu_start = cpu_now_s();

    struct connection *connections = calloc(n_connections, sizeof *connections);
    char *requests = malloc(depth * request_len);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || !requests || epoll_fd < 0)
        die("out of memory");
    for (uint64_t i = 0; i < depth; i++)
        memcpy(requests + i * request_len, request, request_len);
    uint64_t n_sent = 0, n_finished = 0;
    for (uint64_t i = 0; i < n_connections; i++) {
        struct connection *c = &connections[i];
        c->fd = connect_loopback(port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
        c->n_in_flight = n_requests - n_sent < depth ? n_requests - n_sent : depth;
        send_all(c->fd, requests, c->n_in_flight * request_len);
        n_sent += c->n_in_flight;
    }
    struct epoll_event events[256];
    while (n_finished < n_requests) {
        int n_events = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < n_events; i++) {
            struct connection *c = events[i].data.ptr;
            uint64_t n_more = take(c, body_len);
            n_finished += n_more;
            if (n_more > n_requests - n_sent)
                n_more = n_requests - n_sent;
            if (n_more > 0)
                send_all(c->fd, requests, n_more * request_len);
            c->n_in_flight += n_more;
            n_sent += n_more;
        }
    }
    report(n_finished, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    free(requests);
    free(connections);
    return 0;
}
