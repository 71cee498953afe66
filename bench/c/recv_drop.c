/* The floor for one big body that is thrown away: receives of 256 KiB, always into the same buffer.
 *
 * Usage: recv_drop --port N --path P --length L [--cpu N]. Prints one line of JSON.
 */
#include "bench_net.h"

enum { RECEIVE_LEN = 256 * 1024 };

static char buffer[RECEIVE_LEN];

int main(int argc, char **argv)
{
    pin_if_asked(argc, argv);
    uint64_t port = option_number(argc, argv, "--port", 0);
    uint64_t body_len = option_number(argc, argv, "--length", 0);
    char request[1024];
    size_t request_len = make_request(request, sizeof request, port, option(argc, argv, "--path", "/"));
    double wall_start = wall_now_s(), cpu_start = cpu_now_s();
    int fd = connect_loopback(port);
    send_all(fd, request, request_len);
    size_t len, head_len = receive_head(fd, buffer, RECEIVE_LEN, body_len, &len);
    uint64_t received = len - head_len;
    while (received < body_len) {
        ssize_t n = recv(fd, buffer, RECEIVE_LEN, 0);
        if (n <= 0)
            die("the connection ended before the answer");
        received += (uint64_t)n;
    }
    if (received > body_len)
        die("bytes after the end of the answer");
    report(1, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    return 0;
}
