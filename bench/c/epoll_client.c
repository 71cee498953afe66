/* The floor for many connections: one epoll loop, one request at a time on each of N connections, M in all.
 *
 * Reads the status and the Content-Length, counts the body, throws it away. An answer of another length, a surplus
 * byte or a closed connection ends the program without a number.
 *
 * Usage: epoll_client --port N --path P --length L --connections N --requests M [--cpu N]. Prints one line of JSON.
 */
#include "bench_net.h"

#include <sys/epoll.h>

enum { RECEIVE_CAP = 256 * 1024, HEAD_CAP = 2048 };

struct connection {
    int fd;
    int in_body;
    uint64_t body_left;
    size_t head_len; /* bytes of an incomplete head kept in head */
    char head[HEAD_CAP];
};

static char received[HEAD_CAP + RECEIVE_CAP];

/* Take what one receive brought; true when the answer is complete. */
static int take(struct connection *c, uint64_t body_len)
{
    memcpy(received, c->head, c->head_len);
    ssize_t n = recv(c->fd, received + c->head_len, RECEIVE_CAP, 0);
    if (n <= 0)
        die("the connection ended before the answer");
    size_t len = c->head_len + (size_t)n;
    c->head_len = 0;
    if (!c->in_body) {
        size_t head_len = checked_head(received, len, body_len);
        if (head_len == 0) {
            if (len > HEAD_CAP)
                die("the head is too large");
            memcpy(c->head, received, len);
            c->head_len = len;
            return 0;
        }
        c->in_body = 1;
        c->body_left = body_len;
        len -= head_len;
    }
    if (len > c->body_left)
        die("bytes after the end of the answer");
    c->body_left -= len;
    return c->body_left == 0;
}

int main(int argc, char **argv)
{
    pin_if_asked(argc, argv);
    uint64_t port = option_number(argc, argv, "--port", 0);
    uint64_t body_len = option_number(argc, argv, "--length", 0);
    uint64_t n_connections = option_number(argc, argv, "--connections", 64);
    uint64_t n_requests = option_number(argc, argv, "--requests", 1);
    char request[1024];
    size_t request_len = make_request(request, sizeof request, port, option(argc, argv, "--path", "/"));
    if (n_connections > n_requests)
        n_connections = n_requests;
    double wall_start = wall_now_s(), cpu_start = cpu_now_s();

    struct connection *connections = calloc(n_connections, sizeof *connections);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || epoll_fd < 0)
        die("out of memory");
    for (uint64_t i = 0; i < n_connections; i++) {
        connections[i].fd = connect_loopback(port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connections[i].fd, &event);
        send_all(connections[i].fd, request, request_len);
    }
    uint64_t n_sent = n_connections, n_finished = 0;
    struct epoll_event events[256];
    while (n_finished < n_requests) {
        int n_events = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < n_events; i++) {
            struct connection *c = events[i].data.ptr;
            if (!take(c, body_len))
                continue;
            c->in_body = 0;
            n_finished++;
            if (n_sent < n_requests) {
                send_all(c->fd, request, request_len);
                n_sent++;
            }
        }
    }
    report(n_finished, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    free(connections);
    return 0;
}
