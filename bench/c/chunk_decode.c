/* The floor for a chunked body: receives of 256 KiB, the plainest decoder that puts the content together in place,
 * then it is thrown away. The length of the content is checked.
 *
 * Usage: chunk_decode --port N --path P --length L [--cpu N]. Prints one line of JSON.
 */
#include "bench_net.h"

enum { RECEIVE_LEN = 256 * 1024 };

enum state { SIZE, SIZE_LF, DATA, DATA_CR, DATA_LF, LAST_CR, LAST_LF, COMPLETE };

struct decoder {
    enum state state;
    int n_digits;
    uint64_t left; /* of the chunk */
};

static char buffer[RECEIVE_LEN];

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A' + 10);
    die("not a chunk size");
    return 0;
}

static void expect(char c, char expected)
{
    if (c != expected)
        die("the chunks are malformed");
}

/* Move the content in bytes[0..len) together at its start; gives the length of the content. */
static size_t decode(struct decoder *d, char *bytes, size_t len)
{
    char *at = bytes, *end = bytes + len, *out = bytes;
    while (at < end) {
        if (d->state == DATA) {
            size_t n = (uint64_t)(end - at) < d->left ? (size_t)(end - at) : (size_t)d->left;
            memmove(out, at, n);
            out += n;
            at += n;
            d->left -= n;
            if (d->left == 0)
                d->state = DATA_CR;
            continue;
        }
        char c = *at++;
        switch (d->state) {
        case SIZE:
            if (c == '\r' && d->n_digits > 0) {
                d->state = SIZE_LF;
            } else {
                if (++d->n_digits > 15)
                    die("the chunk is too large");
                d->left = d->left * 16 + digit(c);
            }
            break;
        case SIZE_LF:
            expect(c, '\n');
            d->state = d->left > 0 ? DATA : LAST_CR;
            break;
        case DATA_CR:
            expect(c, '\r');
            d->state = DATA_LF;
            break;
        case DATA_LF:
            expect(c, '\n');
            d->state = SIZE;
            d->n_digits = 0;
            break;
        case LAST_CR: /* no trailer fields come from our server */
            expect(c, '\r');
            d->state = LAST_LF;
            break;
        case LAST_LF:
            expect(c, '\n');
            d->state = COMPLETE;
            break;
        default:
            die("bytes after the end of the answer");
        }
    }
    return (size_t)(out - bytes);
}

/* Receive the head; gives its length, and in *len how many bytes are in the buffer. */
static size_t receive_chunked_head(int fd, size_t *len)
{
    const char *end = NULL;
    *len = 0;
    while (!end) {
        ssize_t n = recv(fd, buffer + *len, RECEIVE_LEN - *len, 0);
        if (n <= 0)
            die("the connection ended before the answer");
        *len += (size_t)n;
        end = memmem(buffer, *len, "\r\n\r\n", 4);
    }
    if (memcmp(buffer, "HTTP/1.1 200 ", 13) != 0)
        die("the answer is not a 200");
    size_t head_len = (size_t)(end + 4 - buffer);
    if (!memmem(buffer, head_len, "Transfer-Encoding: chunked\r\n", 28))
        die("the answer is not chunked");
    return head_len;
}

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
    struct decoder decoder = {SIZE, 0, 0};
    size_t len, head_len = receive_chunked_head(fd, &len);
    uint64_t decoded = decode(&decoder, buffer + head_len, len - head_len);
    while (decoder.state != COMPLETE) {
        ssize_t n = recv(fd, buffer, RECEIVE_LEN, 0);
        if (n <= 0)
            die("the connection ended before the answer");
        decoded += decode(&decoder, buffer, (size_t)n);
    }
    if (decoded != body_len)
        die("the content has another length");
    report(1, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    return 0;
}
