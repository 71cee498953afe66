"""Making a QHttp and naming its server: every overload, every argument that must be refused, the enumerations."""
import os
import socket
import subprocess
import sys

import pytest
from support.actions import ReceiveRequest, Send
from support.faults import whole

from qhttp import QHttp

HTTP, HTTPS = QHttp.ConnectionModeHttp, QHttp.ConnectionModeHttps
SERVER = "127.0.0.1"
NOT_PORTS = [True, False, "80", 80.0, b"80", [], ""]
BAD_PORTS = [-1, 65536, 10**30]
BAD_HOSTS = ["a b", "a\r\nX: y", "a\nb", "a\x00b", "a\tb", "a\x7fb", "http://a", "a/b", "a?b", "a#b", "user@a", "a\\b", "[a",
             "a]",
             " ", "[::1", "::1]", "[::1]x", "[[::1]]"]
SMUGGLING_HOSTS = ["a\uff0fb", "a\uff1fb", "a\uff03b", "a\uff20b", "a\xa0b", "\u2100", "a\u3000b"]     # NFKC: / ? # @ blank a/c
IMPOSSIBLE_HOSTS = ["\xfc" * 70, "\xfc..x", "\xad", "\ud800"]


class NamedHost(str):
    __slots__ = ()


@pytest.fixture
def host_field(finish):
    """The Host that a first request would have: host_field(http)."""
    def ask(http):
        http.get("/")
        seen = []
        http.stateChanged.connect(lambda: seen.append(http.currentRequest().value("Host")) or http.abort())
        finish(http)
        return seen[0]
    return ask


@pytest.fixture
def server_on_v6():
    """A listener on ::1 and what it does with one connection: server_on_v6.answer() gives the request."""
    class Server:
        def answer(self, answer=whole(b"six")):
            peer, _ = self.listener.accept()
            with peer:
                peer.settimeout(4)
                request = peer.recv(4096)
                peer.sendall(answer)
            return request

    server = Server()
    try:
        server.listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no ::1 here")
    with server.listener:
        server.listener.settimeout(4)
        server.port = server.listener.getsockname()[1]
        yield server


class Parent:
    """Anything that can be referred to weakly."""


# -- overloads
def test_constructor_without_arguments_idle_without_parent():
    http = QHttp()
    assert (http.state(), http.error(), http.currentId(), http.parent()) == (QHttp.Unconnected, QHttp.NoError, 0, None)
    assert (http.hasPendingRequests(), http.bytesAvailable(), http.readAll()) == (False, 0, b"")
    assert not http.currentRequest().isValid() and not http.lastResponse().isValid()


@pytest.mark.parametrize("construct", [
    lambda parent: QHttp(parent), lambda parent: QHttp(parent=parent), lambda parent: QHttp("h", parent=parent),
    lambda parent: QHttp("h", 80, parent), lambda parent: QHttp("h", 80, parent=parent),
    lambda parent: QHttp("h", HTTP, 80, parent),
    lambda parent: QHttp("h", HTTP, parent=parent), lambda parent: QHttp(hostname="h", mode=HTTP, port=0, parent=parent),
    lambda parent: QHttp("h", port=80, parent=parent)])
def test_constructor_parent_given_kept(construct):
    parent = Parent()
    assert construct(parent).parent() is parent


def test_constructor_parent_is_another_qhttp_kept():
    parent = QHttp()
    assert QHttp(parent).parent() is parent


def test_constructor_two_parents_refused():
    with pytest.raises(TypeError):
        QHttp("h", 80, Parent(), parent=Parent())


@pytest.mark.parametrize("nonsense", [b"host", 5, 1.5, ["host"], object()])
def test_constructor_parent_that_cannot_be_one_refused_by_name(nonsense):
    for construct in (QHttp, lambda parent: QHttp(parent=parent), lambda parent: QHttp("h", parent=parent)):
        with pytest.raises(TypeError, match="parent"):
            construct(nonsense)


@pytest.mark.parametrize("arguments, keywords, expected", [
    (("h",), {}, "h"), (("h", 80), {}, "h"), (("h", 0), {}, "h"), (("h", 8080), {}, "h:8080"), (("h", HTTP), {}, "h"),
    (("h", HTTP, 0), {}, "h"), (("h", HTTP, 81), {}, "h:81"), (("h",), {"port": 81}, "h:81"), (("h", 65535), {}, "h:65535"),
    (("h", 1), {}, "h:1"), (("h", HTTP), {"port": 443}, "h:443"), ((), {"hostname": "h", "port": 82}, "h:82"),
    (("[::1]", 81), {}, "[::1]:81"), (("::1", 81), {}, "[::1]:81"), (("::1",), {}, "[::1]"),
    (("b\xfccher",), {}, "xn--bcher-kva"), (("stra\xdfe",), {}, "xn--strae-oqa"),
    (("H",), {}, "H"), (("a.b.",), {}, "a.b."), (("a_b-c",), {}, "a_b-c")])
def test_constructor_server_given_used_by_the_first_request(host_field, arguments, keywords, expected):
    assert host_field(QHttp(*arguments, **keywords)) == expected


@pytest.mark.parametrize("arguments, keywords, expected", [
    (("h",), {}, "h"), (("h", 8080), {}, "h:8080"), (("h", 0), {}, "h"), (("h", HTTP), {}, "h"), (("h", HTTP, 0), {}, "h"),
    (("h", HTTP, 81), {}, "h:81"), (("h",), {"port": 81}, "h:81"), ((), {"hostname": "h", "mode": HTTP, "port": 80}, "h"),
    (("[::1]", 81), {}, "[::1]:81"), (("b\xfccher",), {}, "xn--bcher-kva")])
def test_sethost_overload_used_by_the_next_request(make, host_field, arguments, keywords, expected):
    http = make("before", 1)
    assert isinstance(http.setHost(*arguments, **keywords), int)
    assert host_field(http) == expected


def test_constructor_plain_int_beside_mode_is_a_port(host_field):
    assert [host_field(QHttp("h", int(mode))) for mode in QHttp.ConnectionMode] == ["h", "h:1"]


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_host_ipv6_literal_connected_without_lookup(server_on_v6, make, record, finish, host):
    http = make(host, server_on_v6.port)
    told = record(http)
    http.get("/")
    requests = []
    http.dataSendProgress.connect(lambda: requests.append(server_on_v6.answer()))
    finish(http)
    assert (http.readAll(), http.error()) == (b"six", QHttp.NoError)
    assert f"Host: [::1]:{server_on_v6.port}\r\n".encode() in requests[0]
    assert "HostLookup" not in told.states


def test_host_ipv6_scope_not_sent(host_field):
    assert host_field(QHttp("fe80::1%lo", 81)) == "[fe80::1]:81"       # RFC 6874 section 4: it means something here only


def test_constructor_subclass_with_own_arguments_works(scripted_server, finish):
    class Client(QHttp):
        def __init__(self, server, tag):
            super().__init__(server.host, server.port)
            self.tag = tag

    http = Client(scripted_server([ReceiveRequest(), Send(whole(b"sub"))]), tag=7)
    http.get("/")
    finish(http)
    assert (http.readAll(), http.tag) == (b"sub", 7)


def test_host_str_subclass_accepted(host_field):
    http = QHttp()
    http.setHost(NamedHost("h"))
    assert host_field(http) == "h"
    assert host_field(QHttp(NamedHost("h"))) == "h"


# -- arguments that are refused
@pytest.fixture(params=["constructor", "setHost"])
def name_server(request, make):
    """Both ways to name a server take the same arguments."""
    return make if request.param == "constructor" else make().setHost


@pytest.mark.parametrize("port", NOT_PORTS)
def test_port_of_wrong_type_refused_by_name(name_server, port):
    with pytest.raises(TypeError, match="port"):
        name_server("h", port=port)


@pytest.mark.parametrize("port", [True, False])
def test_port_bool_at_second_place_refused_by_name(name_server, port):
    with pytest.raises(TypeError, match="port"):
        name_server("h", port)


@pytest.mark.parametrize("port", BAD_PORTS)
def test_port_out_of_range_refused_by_name(name_server, port):
    with pytest.raises(ValueError, match="port"):
        name_server("h", port)


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_host_forbidden_character_refused_by_name(name_server, host):
    with pytest.raises(ValueError, match="hostname"):
        name_server(host)


@pytest.mark.parametrize("host", SMUGGLING_HOSTS)
def test_host_that_normalises_to_forbidden_character_refused_by_name(name_server, host):
    with pytest.raises(ValueError, match="hostname"):
        name_server(host)


@pytest.mark.parametrize("host", IMPOSSIBLE_HOSTS, ids=["long", "empty label", "nothing", "surrogate"])
def test_host_without_wire_form_refused_by_name(name_server, host):
    with pytest.raises(ValueError, match="hostname"):
        name_server(host)


@pytest.mark.parametrize("host", ["[]", "[example.org]", "localhost:8080", "a:b:c.org"])
def test_host_that_is_neither_name_nor_address_refused_by_name(name_server, host):
    with pytest.raises(ValueError, match="hostname"):
        name_server(host)


def test_host_impossible_name_in_queue_never_blocks_the_queue(make, record):
    http = make()
    told = record(http)
    try:
        http.setHost("\xfc" * 70)
    except ValueError:
        return                      # the best place to say it
    http.waitForDone(300)
    assert told.of("done") == [True]


@pytest.mark.parametrize("host", [b"h", 5, ["h"], 1.5])
def test_sethost_host_of_wrong_type_refused_by_name(host):
    with pytest.raises(TypeError, match="hostname"):
        QHttp().setHost(host)


@pytest.mark.parametrize("arguments, keywords", [
    ((b"h", 80), {}), ((5, HTTP), {}), ((object(), HTTP, 80), {}), ((object(),), {"port": 80}),
    ((Parent(),), {"parent": Parent()})])
def test_constructor_host_of_wrong_type_refused_by_name(arguments, keywords):
    with pytest.raises(TypeError, match="hostname"):
        QHttp(*arguments, **keywords)


@pytest.mark.parametrize("keywords", [{"port": 80}, {"mode": HTTP}, {"mode": HTTP, "port": 80}])
def test_constructor_server_without_name_refused(keywords):
    with pytest.raises(TypeError, match="hostname"):
        QHttp(**keywords)


@pytest.mark.parametrize("arguments", [("h", 80, 81), ("h", "http", 80), ("h", 80, HTTP), ("h", QHttp.NoError, 80)])
def test_mode_of_wrong_type_refused_by_name(name_server, arguments):
    with pytest.raises(TypeError, match=r"mode|port"):
        name_server(*arguments)


def test_refused_sethost_leaves_queue_and_ids_alone(make):
    http = make()
    before = http.setHost("h")
    for arguments in (("a b",), ("h", -1), ("h", True), (None,)):
        with pytest.raises((TypeError, ValueError)):
            http.setHost(*arguments)
    assert not http.hasPendingRequests() and http.setHost("h") == before + 1


# -- enumerations
@pytest.mark.parametrize("kind, names", [
    (QHttp.State, "Unconnected HostLookup Connecting Sending Reading Connected Closing"),
    (QHttp.Error,
     "NoError UnknownError HostNotFound ConnectionRefused UnexpectedClose InvalidResponseHeader WrongContentLength "
                  "Aborted AuthenticationRequiredError ProxyAuthenticationRequiredError"),
    (QHttp.ConnectionMode, "ConnectionModeHttp ConnectionModeHttps")])
def test_enum_members_have_the_numbers_of_cpp_and_stand_on_the_class(kind, names):
    assert [member.name for member in kind] == names.split()
    assert [int(member) for member in kind] == list(range(len(kind)))
    assert all(getattr(QHttp, member.name) is member and getattr(QHttp(), member.name) is member for member in kind)


def test_state_and_error_calls_give_members(make):
    http = make()
    assert type(http.state()) is QHttp.State and type(http.error()) is QHttp.Error
    assert (http.state(), http.error()) == (0, 0)


def test_errorstring_before_any_request_is_that_of_qt(make):
    assert make().errorString() == "Unknown error"


# -- what is not there yet



def test_repr_tells_state_and_no_secrets(make):
    http = make("user-host.example")
    http.get("/?token=secret")
    assert "secret" not in repr(http) and "Unconnected" in repr(http)
    http.abort()


def test_names_of_the_queue_are_those_of_the_enumerations():
    from qhttp.network import Error, State
    from qhttp.request_queue import ERROR_NAMES, STATE_NAMES
    assert tuple(member.name for member in State) == STATE_NAMES and tuple(member.name for member in Error) == ERROR_NAMES


def test_first_object_does_not_import_the_enumerations():
    code = "import sys; from qhttp import QHttp; QHttp('127.0.0.1', 80); sys.exit('enum' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-S", "-c", code], env=environment).returncode == 0


def test_members_on_an_object_and_on_a_subclass_are_those_of_the_class():
    class Mine(QHttp):
        pass
    assert Mine.Connected is QHttp.Connected is Mine("h").Connected
    assert Mine.State is QHttp.State and Mine.State.Connected is Mine.Connected
