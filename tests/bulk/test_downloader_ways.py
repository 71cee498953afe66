"""Ways to a host: https, proxies that fetch, tunnels, SOCKS, families of addresses."""
import socket
import ssl
import threading

import pytest
import trustme
from bulk.downloads import LARGE, LIMIT_S, body, download, files_in, names_in, one
from bulk.origin import Each, Origin, Versioned, answer, redirect
from support.actions import Close, ReceiveAnything, Send
from support.credentials import basic
from support.request_reading import take_head
from support.scripted_server import ScriptedServer

import qhttp
from qhttp.engine import resolver as resolver_module


@pytest.fixture(autouse=True)
def loopback(monkeypatch):
    """Every name is 127.0.0.1; nothing is asked of the system."""
    monkeypatch.setattr(resolver_module, "look_up", lambda host, port: [(socket.AF_INET, ("127.0.0.1", port))])


class Certificates:
    def __init__(self):
        authority, stranger = trustme.CA(), trustme.CA()
        self.client = ssl.create_default_context()
        authority.configure_trust(self.client)
        self.good = self._server(authority.issue_cert("127.0.0.1", "origin.test"))
        self.other_name = self._server(authority.issue_cert("elsewhere.test"))
        self.stranger = self._server(stranger.issue_cert("127.0.0.1"))

    @staticmethod
    def _server(leaf):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def certificates():
    return Certificates()


# -- https
@pytest.mark.parametrize("n", [1000, LARGE])
@pytest.mark.parametrize("settings", [{}, {"pipelining": 4}, {"limit_rate": 10**9}, {"into": "bytes"}])
def test_https_files_are_right(settings, n, certificates, tmp_path):
    pages = {f"/{number}": answer(200, body(n, number)) for number in range(6)}
    with Origin(pages, tls=certificates.good) as origin:
        seen = download([origin.url(path) for path in pages], dir=tmp_path, context=certificates.client, per_host=2, **settings)
        assert len(origin.connections) <= 2
    assert not seen.failed
    if "into" in settings:
        assert {transfer.url[-1]: transfer.content for transfer in seen.finished} == {
            str(number): body(n, number) for number in range(6)
        }
    else:
        assert files_in(tmp_path) == {str(number): body(n, number) for number in range(6)}


@pytest.mark.parametrize("name", ["other_name", "stranger"])
def test_https_certificate_that_proves_nothing_is_an_error_without_a_further_try(name, certificates, tmp_path):
    with (
        Origin({"/a": answer(200, b"evil")}, tls=getattr(certificates, name)) as origin,
        Origin({"/b": answer(200, b"b")}) as other,
    ):
        seen = download([origin.url("/a"), other.url("/b")], dir=tmp_path, context=certificates.client)
        assert origin.log == [] and len(origin.connections) == 1
    assert seen.kinds == {"a": "CertificateError", "b": None} and "retrying" not in seen.words and names_in(tmp_path) == ["b"]


def test_https_without_trust_is_refused_by_default(certificates, tmp_path):
    with Origin({"/a": answer(200, b"x")}, tls=certificates.good) as origin:
        assert isinstance(one(origin.url("/a"), dir=tmp_path).error, qhttp.CertificateError)


def test_https_server_that_speaks_http_is_an_error(certificates, tmp_path):
    with ScriptedServer(beyond=[ReceiveAnything(), Send(answer(400, b"x"))]) as server:
        transfer = one(f"https://{server.host}:{server.port}/a", dir=tmp_path, context=certificates.client, retries=1)
    assert isinstance(transfer.error, qhttp.QHttpError) and names_in(tmp_path) == []


def test_https_body_that_is_cut_is_continued(certificates, tmp_path):
    data = body(LARGE * 2)
    with Origin({"/a": Versioned(data, cuts=[LARGE + 50_000])}, tls=certificates.good) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, context=certificates.client)
    assert transfer.error is None and transfer.n_resumed > 0 and files_in(tmp_path) == {"a": data}


def test_https_redirect_to_http_leaves_secrets_behind(certificates, tmp_path):
    with Origin({"/b": answer(200, b"x")}) as plain, Origin(tls=certificates.good) as origin:
        origin.answers["/a"] = redirect(plain.url("/b"))
        one({"url": origin.url("/a"), "headers": [("Authorization", "hidden")]}, dir=tmp_path, context=certificates.client)
    assert b"hidden" in origin.log[0].raw and b"hidden" not in plain.log[0].raw


def test_https_times(certificates, tmp_path):
    with Origin({"/a": answer(200, b"x")}, tls=certificates.good) as origin:
        transfer = one(origin.url("/a"), dir=tmp_path, context=certificates.client, timings=True)
    assert 0 < transfer.time_connect <= transfer.time_appconnect <= transfer.time_starttransfer <= transfer.time_total


# -- a proxy that fetches
def test_proxy_is_asked_with_the_whole_url(tmp_path):
    with Origin({"http://origin.test/a": answer(200, b"x"), "http://origin.test:81/b?q": answer(200, b"y")}) as proxy:
        seen = download(["http://origin.test/a", "http://origin.test:81/b?q"], dir=tmp_path, proxy=proxy.base)
        assert not seen.failed and sorted(request.get("host") for request in proxy.log) == ["origin.test", "origin.test:81"]
    assert files_in(tmp_path) == {"a": b"x", "b": b"y"}


def test_proxy_connections_serve_all_hosts(tmp_path):
    pages = {f"http://host{number}.test/{number}": answer(200, b"x") for number in range(8)}
    with Origin(pages) as proxy:
        download(list(pages), dir=tmp_path, proxy=proxy.base, jobs=1)
        assert len(proxy.connections) == 1


@pytest.mark.parametrize("offered", [['Basic realm="r"'], ["Negotiate", 'Basic realm="r"'], ["NTLM", 'Basic realm="r"']])
def test_proxy_gets_its_own_user_and_the_origin_does_not(offered, tmp_path):
    def page(request):
        if request.get("proxy-authorization") == basic("p", "q"):
            return answer(200, b"x")
        return answer(407, b"who?", *[("Proxy-Authenticate", value) for value in offered])
    with Origin({"http://origin.test/a": page}) as proxy:
        transfer = one("http://origin.test/a", dir=tmp_path, proxy=f"http://p:q@{proxy.host}:{proxy.port}")
        assert [request.get("authorization") for request in proxy.log] == [None, None]
    assert transfer.error is None


@pytest.mark.parametrize("scheme", ["Basic", "Digest"])
def test_proxy_that_is_asked_for_two_tunnels_at_once_has_rejected_nobody(scheme, tmp_path):
    """Both are asked for without credentials; the one that hears so late is not told that they were wrong."""
    bare, carried = threading.Barrier(2), threading.Event()

    def page(request):
        if request.get("proxy-authorization", "").startswith(scheme):
            carried.set()
            return answer(503)
        return [wait, answer(407, b"", ("Proxy-Authenticate", f'{scheme} realm="r", nonce="n", qop="auth"'))]

    def wait(_peer):
        if bare.wait(LIMIT_S) == 0:
            carried.wait(LIMIT_S)
    with Origin({f"{name}.test:443": page for name in "ab"}) as proxy:
        seen = download([f"https://{name}.test/{name}" for name in "ab"], dir=tmp_path, retries=0,
                        proxy=f"http://p:q@{proxy.host}:{proxy.port}")
        assert [request.get("proxy-authorization") is None for request in proxy.log].count(False) == 2
    assert all("refused CONNECT: 503" in str(transfer.error) for transfer in seen.failed) and len(seen.failed) == 2


@pytest.mark.parametrize("url", ["http://origin.test/a", "https://origin.test/a"])
def test_proxy_is_asked_over_no_other_family(url, tmp_path):
    with Origin() as proxy:
        transfer = one(url, dir=tmp_path, proxy=proxy.base, family=6, retries=0)
        assert "family" in str(transfer.error) and proxy.log == []


def test_proxy_that_wants_a_user_is_an_error(tmp_path):
    with Origin({"http://origin.test/a": answer(407, b"", ("Proxy-Authenticate", 'Basic realm="r"'))}) as proxy:
        transfer = one("http://origin.test/a", dir=tmp_path, proxy=proxy.base)
        assert len(proxy.log) == 1
    assert type(transfer.error).__name__ == "ProxyAuthenticationRequired" and transfer.status == 407


def test_proxy_of_the_environment_is_used_unless_excepted(monkeypatch, tmp_path):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Origin({"http://origin.test/a": answer(200, b"x")}) as proxy, Origin({"/b": answer(200, b"y")}) as direct:
        monkeypatch.setenv("http_proxy", proxy.base)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        seen = download(["http://origin.test/a", direct.url("/b")], dir=tmp_path, proxy="environment")
    assert not seen.failed and len(proxy.log) == len(direct.log) == 1


def test_proxy_redirect_goes_through_it_too(tmp_path):
    with Origin({"http://a.test/a": redirect("http://b.test/b"), "http://b.test/b": answer(200, b"x")}) as proxy:
        transfer = one(
            {"url": "http://a.test/a", "headers": [("Authorization", "hidden"), ("Proxy-Authorization", "hidden")]},
            dir=tmp_path,
            proxy=proxy.base,
        )
        assert transfer.error is None and b"hidden" not in proxy.log[1].raw and proxy.log[1].get("host") == "b.test"


def test_proxy_with_pipelining_and_faults(tmp_path):
    pages = {f"http://h.test/{number}": answer(200, b"%d" % number) for number in range(30)}
    pages["http://h.test/7"] = Each([answer(200, b"cut", length=9), Close()], answer(200, b"7"))
    with Origin(pages) as proxy:
        seen = download(list(pages), dir=tmp_path, proxy=proxy.base, pipelining=4, per_host=1)
    assert not seen.failed and files_in(tmp_path) == {str(number): b"%d" % number for number in range(30)}


# -- tunnels
def piped(peer, host, port):
    """Passes on what comes from either side until both have ended."""
    with socket.create_connection((host, port)) as there:
        if peer.pending:
            there.sendall(peer.rest)
            peer.drop()
        peer.sock.settimeout(None)

        def pump(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        back = threading.Thread(target=pump, args=(there, peer.sock))
        back.start()
        pump(peer.sock, there)
        back.join()


class Tunnel(ScriptedServer):
    """A proxy that takes CONNECT, or SOCKS5 without a login, and leads to one origin."""

    def __init__(self, origin, kind="connect", refusal=None):
        self.origin, self.kind, self.refusal, self.asked = origin, kind, refusal, []
        super().__init__()

    def script_for(self, connection):
        return [self.connect if self.kind == "connect" else self.socks]

    def connect(self, peer):
        head = take_head(peer)
        self.asked.append(head.partition(b"\r\n")[0])
        if self.refusal:
            peer.send(self.refusal)
            return
        peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        piped(peer, self.origin.host, self.origin.port)

    def socks(self, peer):
        peer.take(peer.take(2)[1])         # the methods that the client knows
        peer.send(b"\x05\x00")
        while len(peer.pending) < 5 or len(peer.pending) < 7 + peer.pending[4]:
            peer.more()
        asked = peer.take(7 + peer.pending[4])
        self.asked.append(asked[5:-2])
        peer.send(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        piped(peer, self.origin.host, self.origin.port)


@pytest.mark.parametrize("n", [1000, LARGE])
def test_tunnel_to_https(n, certificates, tmp_path):
    with (
        Origin({"/a": answer(200, body(n)), "/b": answer(200, b"b")}, tls=certificates.good) as origin,
        Tunnel(origin) as proxy,
    ):
        rows = [f"https://origin.test:{origin.port}/{name}" for name in "ab"]
        seen = download(
            [{"url": rows[0], "headers": [("Authorization", "mine")]}, rows[1]],
            dir=tmp_path,
            context=certificates.client,
            jobs=1,
            proxy=f"http://p:q@{proxy.host}:{proxy.port}",
        )
        assert proxy.asked == [f"CONNECT origin.test:{origin.port} HTTP/1.1".encode()]
        assert (
            all(request.get("proxy-authorization") is None for request in origin.log)
            and origin.log[0].get("authorization") == "mine"
        )
    assert not seen.failed and files_in(tmp_path) == {"a": body(n), "b": b"b"}


@pytest.mark.parametrize(
    "refusal",
    [b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n"],
)
def test_tunnel_that_is_refused_is_an_error(refusal, certificates, tmp_path):
    with Origin({"/a": answer(200, b"x")}, tls=certificates.good) as origin, Tunnel(origin, refusal=refusal) as proxy:
        transfer = one(
            f"https://origin.test:{origin.port}/a",
            dir=tmp_path,
            context=certificates.client,
            proxy=f"http://{proxy.host}:{proxy.port}",
            retries=1,
        )
    assert isinstance(transfer.error, qhttp.QHttpError) and origin.log == [] and names_in(tmp_path) == []


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_leads_to_the_origin_by_name(scheme, tmp_path):
    pytest.importorskip("socksio")
    with Origin({"/a": answer(200, b"x")}) as origin, Tunnel(origin, "socks") as proxy:
        transfer = one(f"http://origin.test:{origin.port}/a", dir=tmp_path, proxy=f"{scheme}://{proxy.host}:{proxy.port}")
        assert proxy.asked == [b"origin.test"] and origin.log[0].target == "/a"
    assert transfer.error is None


# -- families
def test_family_that_has_no_address_is_not_found(tmp_path):
    with Origin({"/a": answer(200, b"x")}) as origin:
        url = f"http://origin.test:{origin.port}/a"
        assert isinstance(one(url, dir=tmp_path / "6", family=6, retries=0).error, qhttp.HostNotFound)
        assert one(url, dir=tmp_path / "4", family=4).error is None
        assert isinstance(one(origin.url("/a"), dir=tmp_path / "l", family=6, retries=0).error, qhttp.HostNotFound)
