"""What objects show of themselves: what they are and how they stand, on one line, and nothing secret."""
import importlib
import inspect
import re
import ssl

import pytest
from support import faults

import qhttp
from qhttp import aio, compat

SECRET = "hunter2"
URL = f"http://me:{SECRET}@host.invalid/a?token={SECRET}"
OBJECT = re.compile(r" object at 0x")
SETTINGS = {"user": ("me", SECRET), "headers": [("Authorization", f"Bearer {SECRET}")], "jobs": 3,
            "proxy": f"http://me:{SECRET}@proxy.invalid:3128"}


def answered(scripted_server):
    """What a request leaves behind: (QHttp, Transfer)."""
    server = scripted_server(beyond=faults.answer())
    http = qhttp.QHttp(server.host, server.port)
    http.setUser("me", SECRET)
    http.get(f"/a?token={SECRET}")
    assert http.waitForDone(5000)
    with qhttp.Client(user=("me", SECRET), proxy=None) as client:
        return http, client.get(f"http://{server.host}:{server.port}/a?token={SECRET}")


def request():
    header = qhttp.QHttpRequestHeader("GET", f"/a?token={SECRET}")
    header.setValue("Authorization", f"Bearer {SECRET}")
    return header


def party():
    from qhttp.engine.authentication import Party
    made = Party("host")
    made.set_credentials("me", SECRET)
    return made


def proxy():
    from qhttp.engine.route import CONNECT, Proxy
    return Proxy(CONNECT, "proxy.invalid", 3128, party())


def route():
    from qhttp.engine.route import Route
    return Route("host.invalid", 443, tls(), proxy())


def tls():
    from qhttp.engine.tls_context import configuration_of
    return configuration_of(ssl.create_default_context())


def cookies():
    from http.cookiejar import CookieJar

    from qhttp.bulk.access import CookieStore
    store = CookieStore(CookieJar())
    store.store("http://host.invalid/", [("Set-Cookie", f"a={SECRET}")])
    return store


def failed():
    transfer, = qhttp.iter_download([URL], into="bytes", proxy=None)
    return transfer


def part_of(module, name, *arguments, **settings):
    return lambda: getattr(importlib.import_module(f"qhttp.{module}"), name)(*arguments, **settings)


def downloader():
    with qhttp.Downloader(**SETTINGS) as made:
        return made


def authenticator():
    made = qhttp.QAuthenticator()
    made.setUser("me")
    made.setPassword(SECRET)
    return made


# What makes an object -> what it shows, as a pattern.
SHOWN = {
    "client": (lambda: qhttp.Client(**SETTINGS), "<qhttp Client: 0 running, 0 done, 0 failed>"),
    "client without settings": (lambda: qhttp.Client.__new__(qhttp.Client), "<qhttp Client>"),
    "downloader": (downloader, "<qhttp Downloader: 0 running, 0 done, 0 failed>"),
    "settings": (lambda: downloader().settings, r"<qhttp settings: dir='.*', jobs=3, headers=\['Authorization'\], user=..., "
                                                "proxy='http://proxy.invalid:3128'>"),
    "identity": (lambda: downloader().identity, "<qhttp identity: a user>"),
    "files": (lambda: downloader().files, "<qhttp file thread: 0 jobs wait>"),
    "transfer": (failed, "<qhttp transfer of http://host.invalid/a: URL has user information.*>"),
    "loop": (qhttp.loop, r"<qhttp loop: \d+ connections, \d+ timers>"),
    "timer": (lambda: qhttp.loop().call_later(9, print), r"<qhttp timer: due in [89].\d\d\d s>"),
    "timer over": (lambda: cancelled(qhttp.loop().call_later(9, print)), "<qhttp timer: over>"),
    "pool": (part_of("engine.pool", "Pool", 3), "<qhttp pool: 0 idle of at most 3>"),
    "qobject": (qhttp.QObject, "<qhttp QObject: 0 children>"),
    "qobject with a name": (lambda: named(qhttp.QObject(), "it"), "<qhttp QObject 'it': 0 children>"),
    "signal": (lambda: qhttp.QHttp().done, "<Signal done with 0 slots>"),
    "request header": (request, "<QHttpRequestHeader 'GET /a HTTP/1.1', fields: 1>"),
    "response header": (lambda: qhttp.QHttpResponseHeader(200, "OK"), "<QHttpResponseHeader 'HTTP/1.1 200 OK', fields: 0>"),
    "qhttp": (lambda: qhttp.QHttp("host.invalid"), "<QHttp Unconnected, current request 0, NoError>"),
    "aio qhttp": (lambda: aio.QHttp("host.invalid"), "<QHttp Unconnected, current request 0, NoError>"),
    "authenticator": (authenticator, ".*"),
    "proxy value": (
        lambda: qhttp.QNetworkProxy(qhttp.QNetworkProxy.HttpProxy, "proxy.invalid", 3128, "me", SECRET), ".*3128.*"),
    "url": (lambda: compat.QUrl(URL), ".*host.invalid.*"),
    "half a url": (lambda: compat.QUrl(f"me:{SECRET}@host.invalid/a"), "<QUrl host.invalid/a>"),
    "file": (lambda: compat.QFile("a"), "<qhttp QFile 'a', closed>"),
    "buffer": (compat.QBuffer, "<qhttp QBuffer, closed>"),
    "limits": (qhttp.Limits, r"Limits\(head_len=65536.*\)"),
    "options": (lambda: qhttp.QHttp()._options, r"<qhttp options: connect_ms=30000, .*Limits\(.*\)>"),
    "route": (route, "<qhttp route to https://host.invalid:443 through <qhttp connect proxy proxy.invalid:3128>>"),
    "party": (party, "<qhttp party: a user, not asked yet>"),
    "tls": (tls, "<qhttp TLS configuration, verifying, 0 sessions>"),
    "proxies": (part_of("bulk.access", "ProxyChoice", SETTINGS["proxy"]),
                "<qhttp proxies: http through http at proxy.invalid:3128, .*>"),
    "cookies": (cookies, "<qhttp cookies: 1>"),
    "retry policy": (part_of("bulk.retry", "RetryPolicy"), "<qhttp retry policy: .*retries=5.*>"),
    "retry budget": (part_of("bulk.retry", "RetryBudget"), "<qhttp retry budget: 10 left>"),
    "token bucket": (part_of("bulk.rate", "TokenBucket", 5), "<qhttp token bucket: 5 a second, 5 at most>"),
    "shard": (part_of("bulk.shard_plan", "Shard", "host", 2, [URL], [0]), "<qhttp shard of host: 1 rows, 2 connections>"),
    "shard plan": (part_of("bulk.shard_plan", "ShardPlan", 2, 8, 9, 9), "<qhttp shard plan for 2 workers: 0 rows wait>"),
    "timings": (qhttp.Timings, r"Timings\(dns=None, .*\)"),
}


def cancelled(timer):
    timer.cancel()
    return timer


def named(thing, name):
    thing.setObjectName(name)
    return thing


@pytest.mark.parametrize("name", SHOWN)
def test_repr_tells_what_it_is_and_no_secret(name):
    make, pattern = SHOWN[name]
    thing = make()
    shown = repr(thing)
    if name == "timer":
        thing.cancel()
    assert re.fullmatch(pattern, shown) and SECRET not in shown and shown.isprintable()


@pytest.mark.parametrize("module", [qhttp, aio, compat], ids=lambda module: module.__name__)
def test_repr_of_every_public_class_is_its_own(module):
    classes = [getattr(module, name) for name in getattr(module, "__all__", vars(module))]
    assert [kind for kind in classes if inspect.isclass(kind) and kind.__module__.startswith("qhttp")
            and kind.__repr__ is object.__repr__ and not kind.__name__.startswith("_")] == []


def test_repr_after_an_answer_has_no_secret(scripted_server):
    http, transfer = answered(scripted_server)
    for thing in (http, transfer, http.lastResponse(), http.currentRequest()):
        assert SECRET not in repr(thing) and not OBJECT.search(repr(thing))
    assert repr(transfer).endswith("/a: ended>")


def test_repr_of_aio_objects():
    import asyncio

    async def main():
        async with aio.Client(**SETTINGS) as client, aio.Downloader(**SETTINGS) as downloader:
            shown = [repr(client), repr(downloader)]
        aio.detach()
        return shown

    assert asyncio.run(main()) == [f"<qhttp {name}: 0 running, 0 done, 0 failed>" for name in ("Client", "Downloader")]


def test_repr_of_a_session(tmp_path):
    from qhttp.bulk.session import Session
    session = Session(tmp_path / "s")
    assert repr(session) == f"<qhttp session {tmp_path}/s, open>"
    session.close()
    assert repr(session) == f"<qhttp session {tmp_path}/s, closed>"


def test_repr_of_a_file_system_and_its_files():
    pytest.importorskip("fsspec")
    from qhttp.fs import QHttpFileSystem
    fs = QHttpFileSystem(user=("me", SECRET), skip_instance_cache=True)
    assert repr(fs) == "<qhttp QHttpFileSystem: jobs, per_host, user>"
    assert repr(fs.open(URL)) == "<qhttp file http://host.invalid/a at 0>"
