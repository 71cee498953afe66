/* threads.c: all that threads share, at once, for TSan (`make tsan`): loops of their own threads, each with connections
 * that a server thread answers; bodies that go to a file thread, as in qhttp/bulk/files.pyx, and are put into one folder by
 * all of them, under names that others want, too; wake-ups from everywhere; connections whose last reference goes in
 * another thread; and a process that forks in the middle of it.
 *
 * What the interpreter's lock guards in qhttp, a mutex guards here. What is not under it is what qhttp does without that
 * lock. */
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fields.h"
#include "place.h"
#include "world.h"

enum { N_LOOPS = 3, N_CONNS = 4, N_ROUNDS = 150, BODY_LEN = 3000, PATH_CAP = 300, N_FORKS = 5 };
#define REQUEST "GET / HTTP/1.1\r\n\r\n"

typedef struct job {
    struct job *next;
    struct user *user; /* whom to tell */
    char *body;
    char part[PATH_CAP], path[PATH_CAP];
    qh_place place;
    bool is_placed;
} job;

/* First in, first out. */
typedef struct queue {
    job *first, **last;
} queue;

typedef struct line {
    qh_conn conn;
    int peer;
    qh_sink sink;
    char *body;
    unsigned n_answers;
    bool is_orphan;
} line;

typedef struct user {
    unsigned number;
    qh_loop loop;
    line lines[N_CONNS];
    pthread_mutex_t mutex; /* of the three below */
    queue done;            /* files that are placed, or refused */
    qh_conn *orphans[N_CONNS];
    unsigned n_orphans;
    unsigned n_placed, n_refused, n_given;
    bool is_over;          /* set by the loop's own thread, under the mutex */
} user;

static char folder[PATH_CAP - 80];
static user users[N_LOOPS];
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* of the jobs */
static pthread_cond_t come = PTHREAD_COND_INITIALIZER;
static queue jobs;
static bool no_more_jobs;

static void append(queue *q, job *one)
{
    one->next = NULL;
    if (!q->first)
        q->last = &q->first;
    *q->last = one;
    q->last = &one->next;
}

static job *take_first(queue *q)
{
    job *one = q->first;
    if (one)
        q->first = one->next;
    return one;
}

/* ------------------------------------------------------------------------------------------------- the file threads */
static void *place_files(void *nothing)
{
    (void)nothing;
    for (;;) {
        pthread_mutex_lock(&gate);
        while (!jobs.first && !no_more_jobs)
            pthread_cond_wait(&come, &gate);
        job *one = take_first(&jobs);
        pthread_mutex_unlock(&gate);
        if (!one)
            return NULL;
        one->is_placed = qh_place_write(&one->place) == 0 && qh_place_rename(&one->place) == 0;
        require(one->is_placed || one->place.error == EEXIST || one->place.error == EWOULDBLOCK, "place");
        user *u = one->user;
        pthread_mutex_lock(&u->mutex);
        append(&u->done, one);
        require(u->is_over || qh_poller_wake(&u->loop.poller) == 0, "wake"); /* its loop sleeps, perhaps */
        pthread_mutex_unlock(&u->mutex);
    }
}

/* A second run over the same folder: opens parts, finds names taken. */
static void *disturb(void *nothing)
{
    (void)nothing;
    for (unsigned i = 0; i < 10 * N_ROUNDS; i++) {
        char part[PATH_CAP];
        snprintf(part, sizeof part, "%s/%u.part", folder, i % 40);
        int fd = qh_part_open(part);
        if (fd >= 0)
            close(fd);
        (void)qh_place_sync_folder(folder);
        (void)qh_poller_wake(&users[i % N_LOOPS].loop.poller); /* all of them live until this thread has ended */
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------------- the servers */
static void *serve(void *which)
{
    user *u = which;
    static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n";
    char answer[sizeof HEAD - 1 + BODY_LEN], request[sizeof REQUEST - 1];
    memcpy(answer, HEAD, sizeof HEAD - 1);
    for (unsigned round = 0; round < N_ROUNDS; round++)
        for (unsigned i = 0; i < N_CONNS; i++) {
            require(recv(u->lines[i].peer, request, sizeof request, MSG_WAITALL) == (ssize_t)sizeof request, "request");
            memset(answer + sizeof HEAD - 1, 'a' + (int)(round % 26), BODY_LEN);
            size_t cut = round * 37 % sizeof answer;
            put(u->lines[i].peer, answer, cut);
            put(u->lines[i].peer, answer + cut, sizeof answer - cut);
        }
    return NULL;
}

/* --------------------------------------------------------------------------------------------------------- the loops */
static void ask(user *u, line *l)
{
    qh_conn_send(&u->loop, &l->conn, REQUEST, sizeof REQUEST - 1, l->n_answers > 0);
    require(qh_conn_expect_head(&u->loop, &l->conn, &USUAL_HEAD) == 0, "qh_conn_expect_head");
}

/* The body is the file thread's now. */
static void give_away(user *u, line *l)
{
    job *one = calloc(1, sizeof *one);
    require(one != NULL, "calloc");
    one->user = u;
    one->body = l->body;
    unsigned name = l->n_answers * 2 + u->number % 2; /* some names are wanted twice */
    snprintf(one->part, sizeof one->part, "%s/%u.part", folder, name);
    snprintf(one->path, sizeof one->path, "%s/%u-%d", folder, name, (int)(l - u->lines));
    one->place = (qh_place){.part = one->part, .path = one->path, .data = one->body, .len = BODY_LEN, .size = BODY_LEN,
                            .fd = -1, .is_named = l->n_answers % 3 == 0, .wants_ino = true};
    l->body = NULL;
    u->n_given++;
    pthread_mutex_lock(&gate);
    append(&jobs, one);
    pthread_cond_signal(&come);
    pthread_mutex_unlock(&gate);
}

static void take(user *u, const qh_event *event)
{
    qh_conn *conn = qh_loop_conn(&u->loop, event->slot, event->generation);
    if (!conn)
        return;
    line *l = (line *)((char *)conn - offsetof(line, conn));
    size_t used = 0;
    if (event->kind == QH_EVENT_HEAD) {
        l->body = malloc(BODY_LEN);
        require(l->body != NULL, "malloc");
        qh_sink_init_memory(&l->sink, l->body, 0, BODY_LEN);
        qh_body_init(&conn->body, QH_FRAMING_LENGTH, BODY_LEN, &USUAL_CHUNKS, &l->sink);
        qh_status status = qh_body_feed(&conn->body, event->data + event->head_len, event->n - event->head_len, &used);
        if (status == QH_AGAIN)
            require(qh_conn_start_body(&u->loop, conn) == 0, "qh_conn_start_body");
        if (status != QH_DONE)
            return;
    } else if (event->kind != QH_EVENT_END) {
        require(event->kind == QH_EVENT_PROGRESS || event->kind == QH_EVENT_FIRST_BYTES, "event");
        return;
    }
    char wanted = (char)('a' + l->n_answers % 26);
    require(l->sink.len == BODY_LEN && l->body[0] == wanted && l->body[BODY_LEN - 1] == wanted, "body");
    give_away(u, l);
    require(qh_conn_rest(&u->loop, conn) == 0, "qh_conn_rest");
    if (++l->n_answers < N_ROUNDS)
        ask(u, l);
}

/* What others have left for this loop. */
static void look_into_the_box(user *u)
{
    job *one;
    pthread_mutex_lock(&u->mutex);
    while ((one = take_first(&u->done)) != NULL) {
        (*(one->is_placed ? &u->n_placed : &u->n_refused))++;
        free(one->body);
        free(one);
    }
    while (u->n_orphans > 0)
        qh_conn_close(&u->loop, u->orphans[--u->n_orphans], false);
    pthread_mutex_unlock(&u->mutex);
}

static bool is_finished(const user *u)
{
    bool finished = u->n_placed + u->n_refused == u->n_given && u->loop.n_conns == 0;
    for (unsigned i = 0; i < N_CONNS; i++)
        finished = finished && u->lines[i].n_answers == N_ROUNDS;
    return finished;
}

/* The last reference to an idle connection goes in whatever thread; only its loop's may close it. */
static void *orphan(void *which)
{
    line *l = which;
    user *u = l->conn.owner;
    l->conn.owner = NULL; /* as Loop.adopt_orphan does, while the loop turns */
    pthread_mutex_lock(&u->mutex);
    u->orphans[u->n_orphans++] = &l->conn;
    require(qh_poller_wake(&u->loop.poller) == 0, "wake");
    pthread_mutex_unlock(&u->mutex);
    return NULL;
}

static void *turn_loop(void *which)
{
    user *u = which;
    qh_event event;
    pthread_t helpers[N_CONNS];
    unsigned n_helpers = 0;
    for (unsigned i = 0; i < N_CONNS; i++)
        ask(u, &u->lines[i]);
    while (!is_finished(u)) {
        require(qh_turn(&u->loop, 5000) == 0 || errno == EINTR, "qh_turn");
        while (qh_loop_next_event(&u->loop, &event))
            take(u, &event);
        look_into_the_box(u);
        for (unsigned i = 0; i < N_CONNS; i++)
            if (u->lines[i].n_answers == N_ROUNDS && !u->lines[i].is_orphan) {
                u->lines[i].is_orphan = true;
                require(pthread_create(&helpers[n_helpers++], NULL, orphan, &u->lines[i]) == 0, "pthread_create");
            }
    }
    for (unsigned i = 0; i < n_helpers; i++)
        pthread_join(helpers[i], NULL);
    pthread_mutex_lock(&u->mutex);
    u->is_over = true;
    pthread_mutex_unlock(&u->mutex);
    return NULL;
}

/* A child lets go of the loops that it has got with the memory, and leaves those of its parent as they are. */
static void *fork_often(void *nothing)
{
    (void)nothing;
    for (unsigned i = 0; i < N_FORKS; i++) {
        pid_t child = fork();
        require(child >= 0, "fork");
        if (child == 0) {
            qh_loop_abandon(&users[0].loop);
            _exit(users[0].loop.poller.fd == -1 ? 0 : 1);
        }
        int status;
        require(waitpid(child, &status, 0) == child && status == 0, "child");
    }
    return NULL;
}

static void begin_user(unsigned number)
{
    user *u = &users[number];
    u->number = number;
    require(qh_loop_open(&u->loop) == 0 && pthread_mutex_init(&u->mutex, NULL) == 0, "qh_loop_open");
    for (unsigned i = 0; i < N_CONNS; i++) {
        pair both = local_pair();
        require(fcntl(both.peer, F_SETFL, 0) == 0, "fcntl"); /* the server may wait */
        require(qh_conn_open(&u->loop, &u->lines[i].conn, both.ours, true) == 0, "qh_conn_open");
        u->lines[i].conn.owner = u;
        u->lines[i].peer = both.peer;
    }
}

static unsigned end_user(user *u)
{
    for (unsigned i = 0; i < N_CONNS; i++)
        close(u->lines[i].peer);
    qh_loop_close(&u->loop);
    pthread_mutex_destroy(&u->mutex);
    return u->n_placed;
}

/* How many files there are, each whole; parts and all are removed. */
static unsigned count_files(void)
{
    char name[PATH_CAP];
    unsigned n = 0;
    struct stat about;
    for (unsigned i = 0; i < 2 * N_ROUNDS + 2; i++) {
        snprintf(name, sizeof name, "%s/%u.part", folder, i);
        (void)unlink(name);
        for (unsigned j = 0; j < N_CONNS; j++) {
            snprintf(name, sizeof name, "%s/%u-%u", folder, i, j);
            if (stat(name, &about) < 0)
                continue;
            expect_n("length of a file", (uint64_t)about.st_size, BODY_LEN);
            require(unlink(name) == 0, "unlink");
            n++;
        }
    }
    return n;
}

int main(void)
{
    pthread_t threads[3 * N_LOOPS], disturber, forker;
    unsigned n = 0, n_placed = 0;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/qhttp-threads-XXXXXX", base ? base : "/tmp");
    require(mkdtemp(folder) != NULL, "mkdtemp");
    row("threads_share_what_they_may_every_file_whole");
    for (unsigned i = 0; i < N_LOOPS; i++)
        begin_user(i);
    require(pthread_create(&disturber, NULL, disturb, NULL) == 0, "thread");
    require(pthread_create(&forker, NULL, fork_often, NULL) == 0, "thread");
    for (unsigned i = 0; i < N_LOOPS; i++) {
        require(pthread_create(&threads[n++], NULL, serve, &users[i]) == 0, "thread");
        require(pthread_create(&threads[n++], NULL, turn_loop, &users[i]) == 0, "thread");
    }
    unsigned n_of_loops = n;
    for (unsigned i = 0; i < N_LOOPS; i++)
        require(pthread_create(&threads[n++], NULL, place_files, NULL) == 0, "thread");
    pthread_join(disturber, NULL);
    pthread_join(forker, NULL);
    for (unsigned i = 0; i < n_of_loops; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_lock(&gate);
    no_more_jobs = true;
    pthread_cond_broadcast(&come);
    pthread_mutex_unlock(&gate);
    for (unsigned i = n_of_loops; i < n; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < N_LOOPS; i++)
        n_placed += end_user(&users[i]);
    expect_n("files", count_files(), n_placed);
    expect(n_placed >= N_ROUNDS * N_CONNS, "only %u files were placed", n_placed);
    require(rmdir(folder) == 0, "rmdir");
    return check_summary("threads");
}
