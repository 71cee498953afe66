/* failing.c: to be preloaded (LD_PRELOAD): counts the calls of one kind that this process makes, and lets the n-th fail, or the
 * n-th and all after it. `failing.py` builds it and steers it. All threads of the process are counted: the servers of a scene
 * are in another one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

/* The order is that of failing.py. */
enum kind {
    NOTHING, ALLOCATE, RECEIVE, SEND, READ, WRITE, SYNC, OPEN, NAME, THREAD, SOCKET, CONNECT, OPTION, POLL, WATCH, DESCRIPTOR, LOOK_UP,
    LOCK, STAT, RESERVE,
    N_KINDS
};
enum { FOR_EVER = -1 };

static atomic_int armed;          /* the kind that counts now */
static atomic_long n_calls, n_failed, n_live;
static atomic_long first, last;   /* the calls that fail: from 1 on */
static atomic_int error_given;
static char where[512];           /* who called for the first that failed, as far as names are known */

void torture_arm(int kind, long n, long n_failing, int error);
long torture_calls(void);
long torture_failed(void);
long torture_live(void);
const char *torture_where(void);

void torture_arm(int kind, long n, long n_failing, int error)
{
    armed = NOTHING;
    n_calls = n_failed = 0;
    where[0] = '\0';
    first = n;
    last = n_failing == FOR_EVER ? __LONG_MAX__ : n + n_failing - 1;
    error_given = error;
    armed = kind;
}

/* Disarms. It has the name of a call that nobody needs and that Python makes without an allocation: it works while every
 * allocation fails. */
pid_t getppid(void)
{
    armed = NOTHING;
    return 0;
}

long torture_calls(void) { return n_calls; }
long torture_failed(void) { return n_failed; }
long torture_live(void) { return n_live; }
const char *torture_where(void) { return where; }

static void note_callers(void)
{
    enum { N_CALLERS = 12 };
    void *callers[N_CALLERS];
    Dl_info about;
    int n = backtrace(callers, N_CALLERS);
    for (int i = 0; i < n; i++)
        if (dladdr(callers[i], &about) && about.dli_sname) {
            strncat(where, about.dli_sname, sizeof where - strlen(where) - 1);
            strncat(where, " ", sizeof where - strlen(where) - 1);
        }
}

/* The first call of backtrace allocates. */
__attribute__((constructor)) static void begin(void) { note_callers(); }

static bool fails(enum kind kind)
{
    if (armed != (int)kind)
        return false;
    long n = ++n_calls;
    if (n < first || n > last)
        return false;
    if (n_failed++ == 0)
        note_callers();
    errno = error_given;
    return true;
}

/* What is called in our place. dlsym allocates nothing where it finds the name. */
#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
        real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define FAILING(kind, failure, type, name, parameters, arguments) \
    type name parameters \
    { \
        REAL(name); \
        return fails(kind) ? (failure) : real arguments; \
    }

#define ALLOCATING(name, is_new, parameters, arguments) \
    void *name parameters \
    { \
        REAL(name); \
        if (fails(ALLOCATE)) \
            return NULL; \
        void *memory = real arguments; \
        n_live += memory && (is_new); \
        return memory; \
    }

ALLOCATING(malloc, true, (size_t len), (len))
ALLOCATING(calloc, true, (size_t n, size_t len), (n, len))
ALLOCATING(realloc, !old, (void *old, size_t len), (old, len))

void free(void *memory)
{
    REAL(free);
    n_live -= memory != NULL;
    real(memory);
}

/* Under a sanitizer malloc is the sanitizer's. Then Python's allocators, which stand before it, are made to fail: those of its three
 * domains (see PyMem_SetAllocator). */
typedef struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t len);
    void *(*calloc)(void *context, size_t n, size_t len);
    void *(*realloc)(void *context, void *old, size_t len);
    void (*free)(void *context, void *memory);
} allocator;
static allocator below[3];

static void *python_malloc(void *context, size_t len)
{
    allocator *own = context;
    return fails(ALLOCATE) ? NULL : own->malloc(own->context, len);
}
static void *python_calloc(void *context, size_t n, size_t len)
{
    allocator *own = context;
    return fails(ALLOCATE) ? NULL : own->calloc(own->context, n, len);
}
static void *python_realloc(void *context, void *old, size_t len)
{
    allocator *own = context;
    return fails(ALLOCATE) ? NULL : own->realloc(own->context, old, len);
}
static void python_free(void *context, void *memory)
{
    allocator *own = context;
    own->free(own->context, memory);
}

void torture_stand_before_python(void);
void torture_stand_before_python(void)
{
    void (*get)(int, allocator *) = (void (*)(int, allocator *))dlsym(RTLD_DEFAULT, "PyMem_GetAllocator");
    void (*set)(int, allocator *) = (void (*)(int, allocator *))dlsym(RTLD_DEFAULT, "PyMem_SetAllocator");
    for (int domain = 0; domain < 3; domain++) {
        get(domain, &below[domain]);
        set(domain, &(allocator){&below[domain], python_malloc, python_calloc, python_realloc, python_free});
    }
}

FAILING(RECEIVE, -1, ssize_t, recv, (int fd, void *room, size_t len, int flags), (fd, room, len, flags))
FAILING(RECEIVE, -1, ssize_t, recvfrom, (int fd, void *room, size_t len, int flags, struct sockaddr *from, socklen_t *from_len),
        (fd, room, len, flags, from, from_len))
FAILING(RECEIVE, -1, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))

FAILING(SEND, -1, ssize_t, send, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags))
FAILING(SEND, -1, ssize_t, sendto,
        (int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t to_len),
        (fd, data, len, flags, to, to_len))
FAILING(SEND, -1, ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
FAILING(SEND, -1, ssize_t, sendfile, (int out, int in, off_t *offset, size_t len), (out, in, offset, len))
FAILING(SEND, -1, ssize_t, sendfile64, (int out, int in, off64_t *offset, size_t len), (out, in, offset, len))

FAILING(READ, -1, ssize_t, read, (int fd, void *room, size_t len), (fd, room, len))
FAILING(READ, -1, ssize_t, pread, (int fd, void *room, size_t len, off_t at), (fd, room, len, at))
FAILING(READ, -1, ssize_t, pread64, (int fd, void *room, size_t len, off64_t at), (fd, room, len, at))

FAILING(WRITE, -1, ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len))
FAILING(WRITE, -1, ssize_t, writev, (int fd, const struct iovec *parts, int n), (fd, parts, n))
FAILING(WRITE, -1, ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))
FAILING(WRITE, -1, ssize_t, pwrite64, (int fd, const void *data, size_t len, off64_t at), (fd, data, len, at))

FAILING(SYNC, -1, int, fsync, (int fd), (fd))
FAILING(SYNC, -1, int, fdatasync, (int fd), (fd))

/* The mode is passed on whether it was given or not. */
#define OPENING(name, parameters, arguments) \
    int name parameters \
    { \
        REAL(name); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        return fails(OPEN) ? -1 : real arguments; \
    }
OPENING(open, (const char *path, int flags, ...), (path, flags, mode))
OPENING(open64, (const char *path, int flags, ...), (path, flags, mode))
OPENING(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))
OPENING(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))

FAILING(NAME, -1, int, rename, (const char *from, const char *to), (from, to))
FAILING(NAME, -1, int, link, (const char *from, const char *to), (from, to))
FAILING(NAME, -1, int, linkat, (int from_folder, const char *from, int to_folder, const char *to, int flags),
        (from_folder, from, to_folder, to, flags))
FAILING(NAME, -1, int, unlink, (const char *path), (path))
FAILING(NAME, -1, int, mkdir, (const char *path, mode_t mode), (path, mode))

FAILING(THREAD, error_given, int, pthread_create,
        (pthread_t *thread, const pthread_attr_t *how, void *(*function)(void *), void *argument),
        (thread, how, function, argument))

FAILING(SOCKET, -1, int, socket, (int family, int type, int protocol), (family, type, protocol))
FAILING(CONNECT, -1, int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len))
FAILING(OPTION, -1, int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len), (fd, level, name, value, len))
FAILING(OPTION, -1, int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
        (fd, level, name, value, len))

FAILING(POLL, -1, int, epoll_wait, (int set, struct epoll_event *events, int n, int timeout), (set, events, n, timeout))
FAILING(WATCH, -1, int, epoll_ctl, (int set, int what, int fd, struct epoll_event *event), (set, what, fd, event))

FAILING(DESCRIPTOR, -1, int, epoll_create1, (int flags), (flags))
FAILING(DESCRIPTOR, -1, int, eventfd, (unsigned count, int flags), (count, flags))
FAILING(DESCRIPTOR, -1, int, timerfd_create, (int clock, int flags), (clock, flags))
FAILING(DESCRIPTOR, -1, int, dup, (int fd), (fd))

FAILING(LOOK_UP, error_given, int, getaddrinfo,
        (const char *host, const char *service, const struct addrinfo *wanted, struct addrinfo **found),
        (host, service, wanted, found))

FAILING(STAT, -1, int, fstat, (int fd, struct stat *about), (fd, about))
FAILING(STAT, -1, int, fstat64, (int fd, struct stat64 *about), (fd, about))
FAILING(STAT, -1, int, lstat, (const char *path, struct stat *about), (path, about))
FAILING(STAT, -1, int, lstat64, (const char *path, struct stat64 *about), (path, about))
FAILING(STAT, -1, int, stat, (const char *path, struct stat *about), (path, about))
FAILING(STAT, -1, int, stat64, (const char *path, struct stat64 *about), (path, about))

FAILING(RESERVE, -1, int, fallocate, (int fd, int mode, off_t from, off_t len), (fd, mode, from, len))
FAILING(RESERVE, -1, int, fallocate64, (int fd, int mode, off64_t from, off64_t len), (fd, mode, from, len))
FAILING(RESERVE, -1, int, ftruncate, (int fd, off_t len), (fd, len))
FAILING(RESERVE, -1, int, ftruncate64, (int fd, off64_t len), (fd, len))

#include <sys/file.h>
int flock(int fd, int what)
{
    REAL(flock);
    return !(what & LOCK_UN) && fails(LOCK) ? -1 : real(fd, what);
}

/* One argument, if any: an int or a pointer. Where descriptors are copied, it is a DESCRIPTOR. */
#define CONTROLLING(name) \
    int name(int fd, int command, ...) \
    { \
        REAL(name); \
        va_list more; \
        va_start(more, command); \
        void *argument = va_arg(more, void *); \
        va_end(more); \
        bool locks = (command == F_SETLK || command == F_SETLKW) && ((struct flock *)argument)->l_type != F_UNLCK; \
        bool copies = command == F_DUPFD || command == F_DUPFD_CLOEXEC; \
        bool refused = (locks && fails(LOCK)) || (copies && fails(DESCRIPTOR)); \
        return refused ? -1 : real(fd, command, argument); \
    }
CONTROLLING(fcntl)
CONTROLLING(fcntl64)

/* renameat2 has no wrapper in older C libraries: the kernels of qhttp call it so. */
#include <sys/syscall.h>
long syscall(long number, ...)
{
    REAL(syscall);
    long a[6];
    va_list more;
    va_start(more, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(more, long);
    va_end(more);
    return number == SYS_renameat2 && fails(NAME) ? -1 : real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
