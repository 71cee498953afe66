/* The floor for big bodies over TLS into memory, one after the other: huge pages sized by the Content-Length, records
 * decrypted by SSL_read right to their place, given back before the next.
 *
 * The head is read with a small buffer, so that hardly a byte of the body is copied twice.
 *
 * Usage: ssl_huge --port N --path P --length L --requests M --cafile F [--ahead N] [--cpu N]. Prints one line of JSON.
 */
#include "bench_tls.h"
#include "huge_body.h"

enum { HEAD_CAP = 4096 };

static void read_body(SSL *ssl, uint64_t body_len)
{
    char head[HEAD_CAP];
    size_t len, head_len = read_head(ssl, head, HEAD_CAP, body_len, &len);
    huge_body body = map_body(body_len);
    size_t received = begin_body(body, body_len, head + head_len, len - head_len);
    while (received < body_len) {
        size_t left = body_len - received;
        received += read_some(ssl, body.bytes + received, left < RECORD_LEN ? left : RECORD_LEN);
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
    SSL *ssl = connect_tls(argc, argv, port);
    for (uint64_t i = 0; i < n_requests; i++) {
        write_tls(ssl, request, request_len);
        read_body(ssl, body_len);
    }
    report(n_requests, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    return 0;
}
