/* What the floors over TLS share: a verified connection of TLS 1.3 to 127.0.0.1, and a read that may not fail.
 *
 * The server's certificate is verified against the file the clients trust (--cafile F). Making the context and the handshake
 * are measured, as they are in the clients. --ahead N lets OpenSSL receive as much as N bytes at once; without, it receives
 * the 5 bytes of each record's head and then the rest, as it does by itself and as Python's ssl does on a socket.
 */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include "bench_net.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

enum { RECORD_LEN = 16 * 1024 };

static inline void die_ssl(const char *what)
{
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static inline SSL_CTX *new_context(const char *cafile, uint64_t ahead)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
        die_ssl("context");
    if (SSL_CTX_load_verify_locations(context, cafile, NULL) != 1)
        die_ssl("--cafile");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (ahead) {
        SSL_CTX_set_read_ahead(context, 1);
        SSL_CTX_set_default_read_buffer_len(context, (size_t)ahead);
    }
    return context;
}

/* Lives as long as the process; context and socket with it. */
static inline SSL *connect_tls(int argc, char **argv, uint64_t port)
{
    SSL *ssl = SSL_new(new_context(option(argc, argv, "--cafile", ""), option_number(argc, argv, "--ahead", 0)));
    if (!ssl || X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), "127.0.0.1") != 1)
        die_ssl("connection");
    if (SSL_set_fd(ssl, connect_loopback(port)) != 1 || SSL_connect(ssl) != 1)
        die_ssl("handshake");
    return ssl;
}

static inline void write_tls(SSL *ssl, const char *bytes, size_t len)
{
    if (SSL_write(ssl, bytes, (int)len) != (int)len)
        die_ssl("SSL_write");
}

static inline size_t read_some(SSL *ssl, char *into, size_t cap)
{
    int n = SSL_read(ssl, into, (int)cap);
    if (n <= 0)
        die_ssl("the connection ended before the answer");
    return (size_t)n;
}

/* As receive_head(). */
static inline size_t read_head(SSL *ssl, char *buf, size_t cap, uint64_t expected_body_len, size_t *len)
{
    size_t head_len = 0;
    *len = 0;
    while (head_len == 0) {
        *len += read_some(ssl, buf + *len, cap - *len);
        head_len = checked_head(buf, *len, expected_body_len);
    }
    return head_len;
}

#endif
