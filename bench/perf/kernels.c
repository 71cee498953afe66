/* The C kernels over and over: `kernels CASE N` as a program for instruction counts, and as a shared library (the
 * same functions, called with N) for times. A case does one piece of work N times on prepared bytes and ends the
 * process where a result is not the expected one, so that a fast wrong kernel has no number. */
#include "chunked.h"
#include "fields.h"
#include "head_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_LEN = 64 * 1024, MOST_FIELDS = 64 };

static const char head[] = "HTTP/1.1 200 OK\r\n"
                           "Server: nginx/1.22.1\r\n"
                           "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                           "Content-Type: application/octet-stream\r\n"
                           "Content-Length: 1024\r\n"
                           "Last-Modified: Sun, 06 Nov 1994 08:00:00 GMT\r\n"
                           "Connection: keep-alive\r\n"
                           "ETag: \"2ebd4a5f-400\"\r\n"
                           "Accept-Ranges: bytes\r\n\r\n";

static void must(int is_right, const char *what)
{
    if (!is_right) {
        fprintf(stderr, "kernels: %s: not the expected result\n", what);
        exit(1);
    }
}

/* The head comes in one piece, as it mostly does. */
void scan_head(long n)
{
    const qh_head_limits limits = {65536, 32768, 256};
    while (n-- > 0) {
        qh_head_scan scan = {0};
        size_t head_len = 0;
        must(qh_head_scan_step(&scan, head, sizeof head - 1, &limits, &head_len) == QH_DONE, "scan_head");
        must(head_len == sizeof head - 1, "scan_head");
    }
}

void index_fields(long n)
{
    qh_field fields[MOST_FIELDS];
    while (n-- > 0) {
        qh_head_facts facts;
        must(qh_fields_index(head, sizeof head - 1, fields, MOST_FIELDS, &facts) == QH_DONE, "index_fields");
        must(facts.n_fields == 8 && facts.length == 1024, "index_fields");
    }
}

/* What framing needs, without the places of the fields. */
void index_facts(long n)
{
    while (n-- > 0) {
        qh_head_facts facts;
        must(qh_fields_index(head, sizeof head - 1, NULL, 0, &facts) == QH_DONE, "index_facts");
        must(facts.n_fields == 8 && facts.length == 1024, "index_facts");
    }
}

/* A body of 64 KiB, decoded N times; it is decoded in place, so each time is a copy and a decoding. */
static void decode(long n, size_t chunk_len)
{
    const qh_chunk_limits limits = {(uint64_t)1 << 40, 16384, 16384};
    const size_t cap = BODY_LEN + (BODY_LEN / chunk_len + 1) * 16;
    char *coded = malloc(cap), *work = malloc(cap);
    size_t len = 0;
    must(coded && work, "memory");
    for (size_t at = 0; at < BODY_LEN; at += chunk_len) {
        len += (size_t)sprintf(coded + len, "%zx\r\n", chunk_len);
        memset(coded + len, 'x', chunk_len);
        len += chunk_len;
        memcpy(coded + len, "\r\n", 2);
        len += 2;
    }
    memcpy(coded + len, "0\r\n\r\n", 5);
    len += 5;
    while (n-- > 0) {
        qh_chunked chunked = {0};
        size_t used = 0, data_len = 0;
        memcpy(work, coded, len);
        must(qh_chunked_decode(&chunked, work, len, &limits, &used, &data_len) == QH_DONE, "decode");
        must(used == len && data_len == BODY_LEN, "decode");
    }
    free(coded);
    free(work);
}

void decode_16384(long n) { decode(n, 16384); }
void decode_4096(long n) { decode(n, 4096); }
void decode_16(long n) { decode(n, 16); }

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*repeat)(long n);
    } cases[] = {
        {"scan_head", scan_head},       {"index_fields", index_fields}, {"index_facts", index_facts},
        {"decode_16384", decode_16384}, {"decode_4096", decode_4096},   {"decode_16", decode_16},
    };
    for (size_t i = 0; argc == 3 && i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].repeat(atol(argv[2]));
            return 0;
        }
    fprintf(stderr, "usage: kernels CASE N\n");
    return 2;
}
