/* The floor for big bodies into memory, one after the other: huge pages sized by the Content-Length, received right
 * into (1 MiB at a time: more is not faster), given back before the next.
 *
 * The head is received with a small buffer, so that hardly a byte of the body is copied twice.
 *
 * Usage: recv_huge --port N --path P --length L --requests M [--cpu N]. Prints one line of JSON.
 */
#include "bench_net.h"
#include "huge_body.h"

enum { HEAD_CAP = 4096, RECEIVE_LEN = 1024 * 1024 };

static void receive_body(int fd, uint64_t body_len)
{
    char head[HEAD_CAP];
    size_t len, head_len = receive_head(fd, head, HEAD_CAP, body_len, &len);
    huge_body body = map_body(body_len);
    size_t received = begin_body(body, body_len, head + head_len, len - head_len);
    while (received < body_len) {
        size_t left = body_len - received;
        ssize_t n = recv(fd, body.bytes + received, left < RECEIVE_LEN ? left : RECEIVE_LEN, 0);
        if (n <= 0)
            die("the connection ended before the answer");
        received += (size_t)n;
    }
    unmap_body(body);
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
    for (uint64_t i = 0; i < n_requests; i++) {
        send_all(fd, request, request_len);
        receive_body(fd, body_len);
    }
    report(n_requests, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    return 0;
}
