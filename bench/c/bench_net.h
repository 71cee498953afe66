/* What the benchmark programs share: options, loopback sockets, clocks, peak memory, the one-line JSON report,
 * and the little of HTTP they understand (status and Content-Length of an answer).
 *
 * These programs are the floor other clients are compared with, so they do the system calls and nothing else:
 * a failure ends the process with a sentence, it is never handled.
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static inline void die_errno(const char *what)
{
    perror(what);
    exit(1);
}

static inline const char *option(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return fallback;
}

static inline uint64_t option_number(int argc, char **argv, const char *name, uint64_t fallback)
{
    const char *text = option(argc, argv, name, NULL);
    return text ? strtoull(text, NULL, 10) : fallback;
}

/* --cpu N: stay on one CPU, so that client and server do not move onto each other. */
static inline void pin_if_asked(int argc, char **argv)
{
    const char *text = option(argc, argv, "--cpu", NULL);
    if (!text)
        return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(strtoul(text, NULL, 10), &cpus);
    if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
        die_errno("sched_setaffinity");
}

static inline int connect_loopback(uint64_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die_errno("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die_errno("connect");
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* The request every client program sends; returns its length. */
static inline size_t make_request(char *buf, size_t cap, uint64_t port, const char *path)
{
    int len = snprintf(buf, cap, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", path, (unsigned)port);
    if (len < 0 || (size_t)len >= cap)
        die("the path is too long");
    return (size_t)len;
}

static inline void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0)
            die_errno("send");
        bytes += n;
        len -= (size_t)n;
    }
}

/* Length of the head at the start of buf, 0 while it is incomplete; in *body_len its Content-Length. Anything but a 200
 * that has one is a wrong answer and ends the program: a wrong answer gets no number. */
static inline size_t parsed_head(const char *buf, size_t len, uint64_t *body_len)
{
    const char *end = memmem(buf, len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (len < 13 || memcmp(buf, "HTTP/1.1 200 ", 13) != 0)
        die("the answer is not a 200");
    const char *line = buf;
    while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
        line++;
        if ((*line == 'C' || *line == 'c') && strncasecmp(line, "content-length:", 15) == 0) {
            *body_len = strtoull(line + 15, NULL, 10);
            return (size_t)(end + 4 - buf);
        }
    }
    die("the answer has no Content-Length");
    return 0;
}

/* The same where the length is known before; another one is a wrong answer, too. */
static inline size_t checked_head(const char *buf, size_t len, uint64_t expected_body_len)
{
    uint64_t body_len = 0;
    size_t head_len = parsed_head(buf, len, &body_len);
    if (head_len > 0 && body_len != expected_body_len)
        die("the answer has another Content-Length");
    return head_len;
}

/* Receive until the head is complete; gives its length, and in *len how many bytes are in buf in all. */
static inline size_t receive_head(int fd, char *buf, size_t cap, uint64_t expected_body_len, size_t *len)
{
    size_t head_len = 0;
    *len = 0;
    while (head_len == 0) {
        ssize_t n = recv(fd, buf + *len, cap - *len, 0);
        if (n <= 0)
            die("the connection ended before the answer");
        *len += (size_t)n;
        head_len = checked_head(buf, *len, expected_body_len);
    }
    return head_len;
}

static inline double wall_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double cpu_now_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e-6;
}

/* VmHWM and not ru_maxrss: the latter survives exec and so begins with the size of the process that started us. */
static inline long peak_rss_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (status)
        fclose(status);
    return kib;
}

static inline void report(uint64_t n_requests, double wall_s, double cpu_s)
{
    printf("{\"requests\": %llu, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_rss_kib\": %ld}\n",
           (unsigned long long)n_requests, wall_s, cpu_s, peak_rss_kib());
}

#endif
