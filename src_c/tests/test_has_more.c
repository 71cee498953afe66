/* test_has_more.c: the owner of a connection holds bytes that no poller knows of: it is called for them as soon as somebody
 * waits for them, whatever else happens to the connection meanwhile. */
#include "turn_internal.h"
#include "world.h"

#define CONTINUE "HTTP/1.1 100 Continue\r\n\r\n" /* 25 bytes */

static void begin_foreign(world *w)
{
    begin_world(w, local_pair(), true);
    w->conn.foreign = true;
    w->conn.tells_sent = false;
    begin_head(w);
}

/* As a channel that holds more than it could bring. */
static void bring(world *w, const char *text, bool has_more)
{
    char *room = NULL;
    size_t len = 0;
    require(qh_conn_room(&w->loop, &w->conn, &room, &len) && len >= strlen(text), "qh_conn_room");
    memcpy(room, text, strlen(text));
    qh_conn_took(&w->loop, &w->conn, strlen(text));
    w->conn.has_more = has_more;
    if (has_more)
        qh_conn_call_again(&w->loop, &w->conn);
}

static void test_interim_head(void)
{
    world w;
    size_t head_len;
    row("has_more_behind_an_interim_head_told");
    begin_foreign(&w);
    bring(&w, CONTINUE, true);
    turn(&w, 0);
    expect_trace(&w, "head:25+0");
    expect_status(qh_conn_next_head(&w.loop, &w.conn, NULL, 0, &head_len), QH_AGAIN);
    turn(&w, 0);
    expect_trace(&w, "readable");
    end_world(&w);
}

static void test_only_writable(void)
{
    world w;
    row("has_more_beside_a_poller_that_says_writable_told");
    begin_foreign(&w);
    w.conn.wants_room = true;
    require(qh_conn_watch(&w.loop, &w.conn) == 0, "qh_conn_watch");
    bring(&w, "HTTP/1.1 2", true);
    turn(&w, 0);
    expect_trace(&w, "first");
    turn(&w, 0);
    expect_trace(&w, "writable readable");
    end_world(&w);
}

static void test_paused_head(void)
{
    world w;
    row("has_more_while_paused_before_a_head_told_when_resumed");
    begin_foreign(&w);
    bring(&w, "HTTP/1.1 2", true);
    require(qh_conn_pause(&w.loop, &w.conn, true) == 0, "qh_conn_pause");
    turn(&w, 0);
    expect_trace(&w, "first");
    require(qh_conn_pause(&w.loop, &w.conn, false) == 0, "qh_conn_pause");
    turn(&w, 0);
    expect_trace(&w, "readable");
    end_world(&w);
}

/* Not its owner but the socket holds the rest. */
static void test_dozing(void)
{
    world w;
    size_t head_len;
    row("more_in_the_socket_while_an_interim_head_is_told_received");
    begin_world(&w, local_pair(), true);
    begin_head(&w);
    put(w.sockets.peer, CONTINUE, 25);
    require(qh_turn(&w.loop, 0) == 0, "qh_turn");
    qh_event event;
    expect(qh_loop_next_event(&w.loop, &event) && event.kind == QH_EVENT_HEAD, "no head");
    char *rest = event.data + event.head_len;
    put(w.sockets.peer, "HTTP/1.1 200 OK\r\n\r\n", 19);
    turn(&w, 0); /* somebody turns the loop while the head is looked at */
    expect(w.conn.dozing, "it is still in the poll set");
    expect_status(qh_conn_next_head(&w.loop, &w.conn, rest, 0, &head_len), QH_AGAIN);
    turn(&w, 0);
    expect_trace(&w, "head:19+0");
    end_world(&w);
}

int main(void)
{
    test_interim_head();
    test_only_writable();
    test_paused_head();
    test_dozing();
    return check_summary("has_more");
}
