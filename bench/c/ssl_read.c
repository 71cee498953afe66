/* The floor for one big body over TLS that is thrown away: blocking SSL_read of 16 KiB, one record at a time, always into the
 * same buffer.
 *
 * Usage: ssl_read --port N --path P --length L --cafile F [--ahead N] [--cpu N]. Prints one line of JSON.
 */
#include "bench_tls.h"

static char buffer[RECORD_LEN];

int main(int argc, char **argv)
{
    pin_if_asked(argc, argv);
    uint64_t port = option_number(argc, argv, "--port", 0);
    uint64_t body_len = option_number(argc, argv, "--length", 0);
    char request[1024];
    size_t request_len = make_request(request, sizeof request, port, option(argc, argv, "--path", "/"));
    double wall_start = wall_now_s(), cpu_start = cpu_now_s();
    SSL *ssl = connect_tls(argc, argv, port);
    write_tls(ssl, request, request_len);
    size_t len, head_len = read_head(ssl, buffer, RECORD_LEN, body_len, &len);
    uint64_t received = len - head_len;
    while (received < body_len)
        received += read_some(ssl, buffer, RECORD_LEN);
    if (received > body_len)
        die("bytes after the end of the answer");
    report(1, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    return 0;
}
