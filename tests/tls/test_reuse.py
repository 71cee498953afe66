"""Which connection and which session may be used again, client certificates, and what TLS itself does between requests."""
import contextlib
import fcntl
import gc
import os
import ssl
import struct
import subprocess
import termios
import weakref

import pytest
from soak.gauges import in_use
from support.actions import Close, ReceiveRequest, Send
from support.certificate import make_certificate
from support.file_server_process import FileServerProcess
from support.loops import turn_until
from tls.peers import TLS_1_2, TLS_1_3, Shake, answer, answers, close_notify, head

import qhttp
from qhttp.engine import tls_context
from qhttp.wiring import Wiring

N_CONNECTIONS, LEFT_BY_ONE = 40, 1000       # bytes; a session that leaks has several thousand

versions = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


def uses(server):
    """How many requests came on each connection that was let through."""
    return [len(peer.taken) for peer in server.connections if peer.taken]


def resumed(server):
    """Whether a session was resumed, for each handshake that came to its end."""
    return [peer.shaken[1] for peer in server.connections if peer.shaken]


# -- connections
def test_tls_two_requests_one_connection(certificates, scripted_server, client):
    server = scripted_server(beyond=answers(certificates.server(), b"1", b"2"))
    one = client(server)
    assert [one.get(), one.get(), uses(server)] == [("NoError", b"1"), ("NoError", b"2"), [2]]


def test_tls_same_configuration_set_again_same_connection(certificates, scripted_server, client):
    server, context = scripted_server(beyond=answers(certificates.server(), b"1", b"2")), certificates.client()
    one = client(server, context=context)
    one.get()
    one.http.setSslConfiguration(context)
    assert (one.get(), uses(server)) == (("NoError", b"2"), [2])


def test_tls_other_configuration_other_connection_and_session(certificates, scripted_server, client):
    server = scripted_server(beyond=answers(certificates.server(), b"1", b"2"))
    one = client(server)
    one.get()
    one.http.setSslConfiguration(certificates.client())
    assert (one.get(), uses(server)) == (("NoError", b"1"), [1, 1])
    assert resumed(server) == [False, False]


def test_tls_ignored_connection_not_inherited_by_another_configuration(certificates, scripted_server, client):
    server = scripted_server(beyond=answers(certificates.server("expired"), b"1", b"2"))
    one = client(server)
    one.asks(lambda: len(one.errors) > 1 or one.http.ignoreSslErrors())
    assert one.get() == ("NoError", b"1")
    one.http.setSslConfiguration(certificates.client())
    assert (one.get(), len(one.errors), uses(server)) == (("UnknownError", b""), 2, [1])


def test_tls_ignored_connection_used_again_by_its_own_configuration(certificates, scripted_server, client):
    server = scripted_server(beyond=answers(certificates.server("expired"), b"1", b"2"))
    one = client(server).ignores()
    assert [one.get(), one.get(), len(one.errors)] == [("NoError", b"1"), ("NoError", b"2"), 1]


def test_tls_ignored_connection_not_inherited_by_another_object(certificates, scripted_server, client):
    server, context = scripted_server(beyond=answers(certificates.server("expired"), b"1", b"2")), certificates.client()
    one, other = client(server, context=context).ignores(), client(server, context=context)
    assert [one.get(), other.get(), uses(server)] == [("NoError", b"1"), ("UnknownError", b""), [1]]


def test_tls_unverified_connection_not_inherited_by_the_same_context_made_strict(certificates, scripted_server, client):
    """A context is the user's, who may change it; what was made under it before is of another configuration."""
    server, context = scripted_server(beyond=answers(certificates.server("expired"), b"1", b"2")), certificates.client()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    one = client(server, context=context)
    assert one.get() == ("NoError", b"1")
    context.verify_mode = ssl.CERT_REQUIRED
    one.http.setSslConfiguration(context)
    assert (one.get(), uses(server)) == (("UnknownError", b""), [1])


@versions
def test_tls_session_without_name_check_not_resumed_by_the_same_context_made_strict(
        certificates, scripted_server, client, version):
    server = scripted_server(beyond=[*answers(certificates.server("other_name", version), b"1"), close_notify])
    context = certificates.client()
    context.check_hostname = False
    one = client(server, context=context)
    assert one.get() == ("NoError", b"1")
    turn_until(lambda: one.http.state() == one.http.Unconnected)
    context.check_hostname = True
    assert one.get() == ("UnknownError", b"")
    one.http.setSslConfiguration(context)
    assert (one.get(), uses(server)) == (("UnknownError", b""), [1])


def test_tls_http_to_the_same_host_and_port_other_connection(certificates, scripted_server, client):
    server = scripted_server(answers(certificates.server(), b"1"), [ReceiveRequest(), Send(answer(b"plain"))])
    one = client(server)
    one.get()
    one.http.setHost("localhost", server.port)
    assert (one.get(), uses(server)) == (("NoError", b"plain"), [1, 1])


def test_tls_other_name_of_the_same_address_other_connection(certificates, scripted_server, client):
    server = scripted_server(beyond=answers(certificates.server(), b"1"))
    one = client(server)
    one.get()
    one.http.setHost("elsewhere.test", one.http.ConnectionModeHttps, server.port)
    assert (one.get(), uses(server)) == (("UnknownError", b""), [1])


def test_tls_certificate_changed_to_a_good_one_accepted(certificates, scripted_server, client):
    server = scripted_server([*answers(certificates.server(), b"1"), close_notify],
                             answers(certificates.server("renewed"), b"2"))
    one = client(server)
    assert [one.get(), one.get()] == [("NoError", b"1"), ("NoError", b"2")]


@versions
def test_tls_certificate_changed_to_a_bad_one_refused(certificates, scripted_server, client, version):
    server = scripted_server([*answers(certificates.server(version=version), b"1"), close_notify],
                             beyond=answers(certificates.server("expired", version), b"2"))
    one = client(server)
    assert [one.get(), one.get(), uses(server)] == [("NoError", b"1"), ("UnknownError", b""), [1]]


# -- sessions
@versions
def test_tls_second_connection_resumes_the_session(certificates, scripted_server, client, version):
    server = scripted_server(beyond=[*answers(certificates.server(version=version), b"1"), close_notify])
    one = client(server)
    for _ in range(2):
        assert one.get() == ("NoError", b"1")
        turn_until(lambda: one.http.state() == one.http.Unconnected)
    assert resumed(server) == [False, True]


@versions
def test_tls_session_not_resumed_for_another_name(certificates, scripted_server, client, version):
    server = scripted_server(beyond=[*answers(certificates.server(version=version), b"1"), close_notify])
    context = certificates.client()
    assert [client(server, context=context).get(), client(server, "elsewhere.test", context).get()] == [
        ("NoError", b"1"), ("UnknownError", b"")]
    assert client(server, "127.0.0.1", context).get() == ("NoError", b"1")
    assert resumed(server) == [False, False]


@versions
def test_tls_session_of_an_ignored_connection_never_resumed(certificates, scripted_server, client, version):
    server = scripted_server(beyond=[*answers(certificates.server("expired", version), b"1"), close_notify])
    one = client(server).ignores()
    for _ in range(2):
        assert one.get() == ("NoError", b"1")
        turn_until(lambda: one.http.state() == one.http.Unconnected)
    assert resumed(server) == [False, False]
    assert len(one.errors) == 2


@versions
def test_tls_session_the_server_has_forgotten_whole_handshake(certificates, scripted_server, client, version):
    server = scripted_server([*answers(certificates.server(version=version), b"1"), close_notify],
                             answers(certificates.server(version=version), b"2"))
    one = client(server)
    assert [one.get(), one.get()] == [("NoError", b"1"), ("NoError", b"2")]
    assert resumed(server) == [False, False]


def test_tls_sessions_kept_are_bounded(certificates, scripted_server, client):
    server, context = scripted_server(beyond=answers(certificates.server("wildcard"), b"1")), certificates.client()
    configuration = tls_context.configuration_of(context)
    configuration.max_sessions = 2
    for name in "abc":
        client(server, f"{name}.wild.test", context).get()
    assert [host for host, *_ in configuration.sessions] == ["b.wild.test", "c.wild.test"]


def test_tls_many_connections_leave_no_memory_behind(tmp_path):
    pem = make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=pem)

    def connect(port, n_objects):
        """Connects N_CONNECTIONS times; returns the bytes in use afterwards."""
        for _ in range(n_objects):
            http = qhttp.QHttp("127.0.0.1", qhttp.QHttp.ConnectionModeHttps, port)
            http.setSslConfiguration(context)
            for _ in range(N_CONNECTIONS // n_objects):
                http.get("/f/1")
                http.close()
            assert http.waitForDone(10_000) and http.error() == http.NoError
        del http
        gc.collect()
        return in_use()

    with FileServerProcess(seed=1, largest=100, fault_percent=0, certificate=pem) as server:
        for n_objects in (1, N_CONNECTIONS):
            before = connect(server.port, n_objects)
            assert connect(server.port, n_objects) - before < N_CONNECTIONS * LEFT_BY_ONE


def test_tls_configuration_is_one_for_all_objects_and_ends_with_them(certificates, scripted_server, client):
    context = certificates.client()
    one, other = client(scripted_server(), context=context), client(scripted_server(), context=context)
    configuration = weakref.ref(tls_context.configuration_of(context))
    assert tls_context.configuration_of(context) is configuration()
    assert tls_context.configuration_of(certificates.client()) is not configuration()
    held, context = weakref.ref(context), None
    del one, other
    gc.collect()
    assert (held(), configuration()) == (None, None)


# -- certificates of the client's own
@versions
@pytest.mark.parametrize("members", ["asked", "required"])
def test_tls_client_certificate_given_accepted(certificates, scripted_server, client, version, members):
    server = scripted_server(beyond=answers(certificates.server(version=version, members=members), b"1"))
    assert client(server, context=certificates.client("member")).get() == ("NoError", b"1")
    assert server.connections[0].shaken[2] == certificates.der("member")


@versions
def test_tls_client_certificate_asked_and_missing_server_decides(certificates, scripted_server, client, version):
    server = scripted_server(beyond=answers(certificates.server(version=version, members="asked"), b"1"))
    assert client(server).get() == ("NoError", b"1")
    assert server.connections[0].shaken[2] is None


@versions
def test_tls_client_certificate_required_and_missing_error(certificates, scripted_server, client, version):
    """In TLS 1.3 the server tells after the handshake, when the request may be out."""
    server = scripted_server(beyond=answers(certificates.server(version=version, members="required"), b"1"))
    one = client(server)
    assert one.get() == ("UnknownError" if version == TLS_1_2 else "UnexpectedClose", b"")
    assert uses(server) == []


@versions
@pytest.mark.parametrize("members", ["asked", None])
def test_tls_client_certificate_not_presented_by_the_second_handshake(certificates, scripted_server, client, version, members):
    server = scripted_server(beyond=answers(certificates.server("expired", version, members), b"1"))
    assert client(server, context=certificates.client("member")).ignores().get() == ("NoError", b"1")
    assert [peer.shaken[2] for peer in server.connections if peer.shaken] == [None]


@versions
def test_tls_client_certificate_required_by_a_bad_server_refused(certificates, scripted_server, client, version):
    server = scripted_server(beyond=answers(certificates.server("expired", version, "required"), b"1"))
    one = client(server, context=certificates.client("member")).ignores()
    assert one.get()[0] in ("UnknownError", "UnexpectedClose")
    assert uses(server) == []


# -- what TLS itself does meanwhile: only openssl's own server can be told to
class OpenSslServer:
    """`openssl s_server`, whose standard input is what it sends, or one letter that is a command."""

    def __init__(self, certificates, *options):
        self.said = b""
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", certificates.path("good"), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        os.set_blocking(self.process.stdout.fileno(), False)

    def until(self, text):
        """Waits until it has said that, the loop turning; forgets all until then."""
        turn_until(lambda: text in self.hear())
        before, _, self.said = self.said.partition(text)
        return before

    def hear(self):
        self.said += self.process.stdout.read() or b""
        return self.said

    def tell(self, text):
        """Gives it a line, and waits until it has taken that: one read, one command."""
        self.process.stdin.write(text)
        turn_until(lambda: struct.unpack("i", fcntl.ioctl(self.process.stdin, termios.FIONREAD, bytes(4)))[0] == 0)

    def __enter__(self):
        try:
            self.until(b"ACCEPT 127.0.0.1:")
            turn_until(lambda: b"\n" in self.hear())
            self.port = int(self.said.split()[0])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def exchange(server, one, body):
    """One GET that this server answers."""
    one.http.get("/")
    server.until(b"\r\n\r\n")
    server.tell(answer(body))
    return one.wait(), bytes(one.http.readAll())


@pytest.mark.parametrize("command", [b"k\n", b"K\n"], ids=["told", "asked_for_in_turn"])
def test_tls_new_keys_while_idle_connection_lives_on(certificates, client, command):
    with OpenSslServer(certificates, "-tls1_3") as server:
        one = client(server)
        assert exchange(server, one, b"1") == ("NoError", b"1")
        server.tell(command)
        assert [exchange(server, one, b"2"), exchange(server, one, b"3")] == [("NoError", b"2"), ("NoError", b"3")]
        assert "Unconnected" not in one.states


@pytest.mark.parametrize("command", [b"k\n", b"K\n"], ids=["told", "asked_for_in_turn"])
def test_tls_new_keys_within_an_answer_body_whole(certificates, client, command):
    with OpenSslServer(certificates, "-tls1_3") as server:
        one = client(server)
        one.http.get("/")
        server.until(b"\r\n\r\n")
        server.tell(head(b"Content-Length: 8") + b"one ")
        server.tell(command)
        server.tell(b"more")
        assert (one.wait(), bytes(one.http.readAll())) == ("NoError", b"one more")
        assert exchange(server, one, b"2") == ("NoError", b"2")


def test_tls_renegotiation_refused_by_the_default_and_the_answer_whole(certificates, default_client):
    """A server that asks for it gets a warning in answer (RFC 5246 section 7.2.2), and may go on."""
    with OpenSslServer(certificates, "-tls1_2") as server:
        one = default_client(server)
        assert exchange(server, one, b"1") == ("NoError", b"1")
        server.tell(b"R\n")
        assert exchange(server, one, b"2") in [("NoError", b"2"), ("UnexpectedClose", b"")]


def test_tls_renegotiation_within_an_answer_the_default_body_whole_or_error(certificates, default_client):
    with OpenSslServer(certificates, "-tls1_2") as server:
        one = default_client(server)
        one.http.get("/")
        server.until(b"\r\n\r\n")
        server.tell(head(b"Content-Length: 8") + b"one ")
        server.tell(b"R\n")
        server.process.stdin.write(b"more")     # not taken where the refusal has ended the connection
        assert (one.wait(), bytes(one.http.readAll())) in [("NoError", b"one more"), ("WrongContentLength", b"one ")]


def test_tls_renegotiation_that_the_users_context_allows_connection_lives_on(certificates, client):
    """Nothing can be encrypted from its beginning to its end: the request waits."""
    with OpenSslServer(certificates, "-tls1_2") as server:
        one = client(server)
        assert exchange(server, one, b"1") == ("NoError", b"1")
        server.tell(b"R\n")
        assert [exchange(server, one, b"2"), exchange(server, one, b"3")] == [("NoError", b"2"), ("NoError", b"3")]
        assert "Unconnected" not in one.states


def test_tls_tickets_while_idle_connection_lives_on(certificates, scripted_server, client):
    """In TLS 1.3 they come behind the handshake, here as many as a server may send."""
    context = certificates.server(version=TLS_1_3)
    context.num_tickets = 20
    server = scripted_server(answers(context, b"1", b"2"))
    one = client(server)
    assert one.get() == ("NoError", b"1")
    qhttp.loop().run(5)
    assert [one.get(), uses(server)] == [("NoError", b"2"), [2]]


def test_tls_connection_with_close_not_kept(certificates, scripted_server, client):
    bye = Send(head(b"Content-Length: 1", b"Connection: close") + b"1")
    server = scripted_server(beyond=[Shake(certificates.server()), ReceiveRequest(), bye, Close()])
    one = client(server)
    assert [one.get(), one.get(), uses(server)] == [("NoError", b"1"), ("NoError", b"1"), [1, 1]]


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_tls_other_configuration_holds_for_what_is_queued_then_also_with_pipelining(
        certificates, scripted_server, client, monkeypatch, is_interrupted):
    server = scripted_server(beyond=answers(certificates.server(), b"1", b"2", b"3"))
    one, ends, secret, route = client(server), [], [], Wiring.route
    one.http.setPipelining(4)

    def interrupt(*_):
        monkeypatch.setattr(Wiring, "route", route)
        raise KeyboardInterrupt

    def look(_):
        if len(ends) == 1 and not secret:       # the second one is under way, on a connection that stays
            if is_interrupted:
                monkeypatch.setattr(Wiring, "route", interrupt)
            with pytest.raises(KeyboardInterrupt) if is_interrupted else contextlib.nullcontext():
                one.http.setSslConfiguration(ssl.create_default_context())      # it trusts nobody here
            secret.append(one.http.get("/secret"))

    one.http.responseHeaderReceived.connect(look)
    one.http.requestFinished.connect(lambda number, error: ends.append((error, bytes(one.http.readAll()))))
    for path in "/1", "/2":
        one.http.get(path)
    assert one.wait() != "NoError"
    assert ends == [(False, b"1"), (False, b"2"), (True, b"")] and uses(server) == [2]


def test_tls_other_configuration_set_while_requests_wait_in_line_is_theirs_on_a_new_connection(
        certificates, scripted_server, client):
    last = ReceiveRequest(), Send(answer(b"2", b"Connection: close")), Close()
    server = scripted_server(beyond=[*answers(certificates.server(), b"1"), *last])
    one, ends = client(server), []
    one.http.setPipelining(4)           # from the second request on: the first one shows that the server keeps connections

    def finish(number, error):
        ends.append((error, bytes(one.http.readAll())))
        if len(ends) == 2:
            one.http.setSslConfiguration(ssl.create_default_context())      # it trusts nobody here

    one.http.requestFinished.connect(finish)
    for path in "/1", "/2", "/3":
        one.http.get(path)
    assert one.wait() != "NoError"
    assert ends == [(False, b"1"), (False, b"2"), (True, b"")]
    assert uses(server) == [2]
