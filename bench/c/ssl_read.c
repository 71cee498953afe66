/* The floor for one big body over TLS: blocking SSL_read of 16 KiB, one record at a time, thrown away.
 *
 * Certificates are not verified: the servers of the benchmarks sign their own. What is measured begins with the
 * connection, so the handshake is part of it.
 *
 * Usage: ssl_read --port N --path P --length L [--cpu N]. Prints one line of JSON.
 */
#include "bench_net.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { RECORD_LEN = 16 * 1024 };

static char buffer[RECORD_LEN];

static void die_ssl(const char *what)
{
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static size_t read_some(SSL *ssl, char *into, size_t cap)
{
    int n = SSL_read(ssl, into, (int)cap);
    if (n <= 0)
        die_ssl("the connection ended before the answer");
    return (size_t)n;
}

int main(int argc, char **argv)
{
    pin_if_asked(argc, argv);
    uint64_t port = option_number(argc, argv, "--port", 0);
    uint64_t body_len = option_number(argc, argv, "--length", 0);
    char request[1024];
    size_t request_len = make_request(request, sizeof request, port, option(argc, argv, "--path", "/"));
    double wall_start = wall_now_s(), cpu_start = cpu_now_s();
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context ? SSL_new(context) : NULL;
    if (!ssl || SSL_set_fd(ssl, connect_loopback(port)) != 1 || SSL_connect(ssl) != 1)
        die_ssl("handshake");
    if (SSL_write(ssl, request, (int)request_len) != (int)request_len)
        die_ssl("SSL_write");
    size_t len = 0, head_len = 0;
    while (head_len == 0) {
        len += read_some(ssl, buffer + len, RECORD_LEN - len);
        head_len = checked_head(buffer, len, body_len);
    }
    uint64_t received = len - head_len;
    while (received < body_len)
        received += read_some(ssl, buffer, RECORD_LEN);
    if (received > body_len)
        die("bytes after the end of the answer");
    report(1, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    SSL_free(ssl);
    SSL_CTX_free(context);
    return 0;
}
