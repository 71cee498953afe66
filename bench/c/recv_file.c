/* The floor for one big body to a file: receives of 256 KiB, writes of about 1 MiB, and extents reserved ahead.
 *
 * FALLOC_FL_KEEP_SIZE reserves without lengthening: the file is never longer than what was written. The reservation
 * stays a bounded way ahead of the write position, because the length is only a claim of the server's. A file in
 * memory gains nothing from it: --reserve 0 leaves it out.
 *
 * Usage: recv_file --port N --path P --length L --target FILE [--reserve N] [--cpu N]. Prints one line of JSON.
 */
#include "bench_net.h"

#include <fcntl.h>

enum { RECEIVE_LEN = 256 * 1024, WRITE_LEN = 1024 * 1024, RESERVE_AHEAD = 64 * 1024 * 1024 };

static char buffer[WRITE_LEN + RECEIVE_LEN];

static void write_at(int fd, const char *bytes, size_t len, uint64_t offset)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, bytes, len, (off_t)offset);
        if (n < 0)
            die_errno("pwrite");
        bytes += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
}

/* Receive the rest of the body; the first bytes of it are already in the buffer. */
static void body_to_file(int socket_fd, int file_fd, size_t buffered, uint64_t body_len, uint64_t reserve_ahead)
{
    uint64_t written = 0, reserved = 0;
    while (written < body_len) {
        while (buffered < WRITE_LEN && written + buffered < body_len) {
            ssize_t n = recv(socket_fd, buffer + buffered, RECEIVE_LEN, 0);
            if (n <= 0)
                die("the connection ended before the answer");
            buffered += (size_t)n;
        }
        if (written + buffered > body_len)
            die("bytes after the end of the answer");
        if (reserve_ahead > 0 && written + buffered > reserved) {
            uint64_t ahead = body_len - written < reserve_ahead ? body_len - written : reserve_ahead;
            (void)fallocate(file_fd, FALLOC_FL_KEEP_SIZE, (off_t)written, (off_t)ahead); /* only ever a help */
            reserved = written + ahead;
        }
        write_at(file_fd, buffer, buffered, written);
        written += buffered;
        buffered = 0;
    }
}

int main(int argc, char **argv)
{
    pin_if_asked(argc, argv);
    uint64_t port = option_number(argc, argv, "--port", 0);
    uint64_t body_len = option_number(argc, argv, "--length", 0);
    uint64_t reserve_ahead = option_number(argc, argv, "--reserve", RESERVE_AHEAD);
    const char *target = option(argc, argv, "--target", NULL);
    char request[1024];
    size_t request_len = make_request(request, sizeof request, port, option(argc, argv, "--path", "/"));
    if (!target)
        die("--target is missing");
    double wall_start = wall_now_s(), cpu_start = cpu_now_s();
    int socket_fd = connect_loopback(port);
    int file_fd = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file_fd < 0)
        die_errno(target);
    send_all(socket_fd, request, request_len);
    size_t len, head_len = receive_head(socket_fd, buffer, RECEIVE_LEN, body_len, &len);
    memmove(buffer, buffer + head_len, len - head_len);
    body_to_file(socket_fd, file_fd, len - head_len, body_len, reserve_ahead);
    close(file_fd);
    report(1, wall_now_s() - wall_start, cpu_now_s() - cpu_start);
    return 0;
}
