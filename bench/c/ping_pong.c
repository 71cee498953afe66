/* The floor for one connection: blocking send and receive, one request after the other.
 *
 * Usage: ping_pong --port N --path P --length L --requests M [--cpu N]. Prints one line of JSON.
 */
#include "bench_net.h"

enum { RECEIVE_CAP = 256 * 1024 };

static char received[RECEIVE_CAP];

static void exchange(int fd, const char *request, size_t request_len, uint64_t body_len)
{
    size_t len = 0, head_len = 0;
    send_all(fd, request, request_len);
    while (head_len == 0) {
        ssize_t n = recv(fd, received + len, RECEIVE_CAP - len, 0);
        if (n <= 0)
            die("the connection ended before the answer");
        len += (size_t)n;
        head_len = checked_head(received, len, body_len);
    }
    uint64_t body_received = len - head_len;
    while (body_received < body_len) {
        ssize_t n = recv(fd, received, RECEIVE_CAP, 0);
        if (n <= 0)
            die("the connection ended before the answer");
        body_received += (uint64_t)n;
    }
    if (body_received > body_len)
        die("bytes after the end of the answer");
}

int main(int argc, char **argv)
{
    pin_if_asked(argc, argv);
    uint64_t port = option_number(argc, argv, "--port", 0);
    uint64_t body_len = option_number(argc, argv, "--length", 0);
    uint64_t n_requests = option_number(argc, argv, "--requests", 1);
    char request[1024];
    size_t request_len = make_request(request, sizeof request, port, option(argc, argv, "--path", "/"));
    double wall_start = wall_now_s(), cpu_start = cpu_now_s();
    int fd = connect_loopback(port);
    for (uint64_t i = 0; i < n_requests; i++)
        exchange(fd, request, request_len, body_len);
    report(n_requests, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    return 0;
}
