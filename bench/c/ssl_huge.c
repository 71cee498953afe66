/* The floor for big bodies over TLS into memory, one after the other: huge pages sized by the Content-Length, records
 * decrypted by SSL_read right to their place, given back before the next.
 *
 * The head is read with a small buffer, so that hardly a byte of the body is copied twice.
 *
 * Usage: ssl_huge --port N --path P --length L --requests M --cafile F [--ahead N] [--cpu N]. Prints one line of JSON.
 */
#include "bench_tls.h"

#include <sys/mman.h>

enum { HEAD_CAP = 4096, HUGE_LEN = 2 * 1024 * 1024 };

static void read_body(SSL *ssl, uint64_t body_len)
{
    char head[HEAD_CAP];
    size_t len, head_len = read_head(ssl, head, HEAD_CAP, body_len, &len);
    size_t mapped = body_len + HUGE_LEN, received = len - head_len;
    char *map = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        die_errno("mmap");
    char *body = (char *)(((uintptr_t)map + HUGE_LEN - 1) & ~(uintptr_t)(HUGE_LEN - 1));
    (void)madvise(body, body_len, MADV_HUGEPAGE); /* only ever a help */
    if (received > body_len)
        die("bytes after the end of the answer");
    memcpy(body, head + head_len, received);
    while (received < body_len) {
        size_t left = body_len - received;
        received += read_some(ssl, body + received, left < RECORD_LEN ? left : RECORD_LEN);
    }
    munmap(map, mapped);
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
