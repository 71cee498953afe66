"""examples/tracing.py: the spans that OpenTelemetry's own exporter gets, and nothing secret in them."""
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from support import faults
from support.actions import ReceiveRequest, Send
from support.loops import turn_until

import qhttp
from qhttp import watching
from world.programs import module

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tracing.py"
NOT_FOUND = faults.whole(status=b"HTTP/1.1 404 Not Found\r\n")


@pytest.fixture(scope="module")
def exporter():
    module("opentelemetry.sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    provider, memory = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)         # for the process: OpenTelemetry takes it once
    return memory


@pytest.fixture
def spans(exporter):
    """What has ended, while the example watches."""
    spec = importlib.util.spec_from_file_location("tracing", EXAMPLE)
    tracing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tracing)
    exporter.clear()
    watching.watch(tracing.follow)
    yield exporter.get_finished_spans
    watching.unwatch(tracing.follow)


def shown(span):
    """Its attributes by the semantic conventions."""
    return {name: value for name, value in span.attributes.items() if not name.startswith("qhttp.")}


def test_tracing_spans_of_qhttp(spans, scripted_server):
    server = scripted_server([ReceiveRequest(), Send(faults.whole()), ReceiveRequest(), Send(NOT_FOUND)])
    http = qhttp.QHttp(server.host, server.port)
    http.get("/a?token=hunter2")
    http.head("/b")
    http.close()
    assert http.waitForDone(5000)
    first, second = spans()
    place = {"server.address": server.host, "server.port": server.port}
    assert (first.name, first.kind.name, first.status.status_code.name) == ("GET", "CLIENT", "UNSET")
    assert shown(first) == {"http.request.method": "GET", "url.full": f"http://{server.host}:{server.port}/a",
                            "http.response.status_code": 200, **place}
    assert 0 < first.attributes["qhttp.first_byte"] <= first.attributes["qhttp.total"]
    assert (second.name, second.status.status_code.name) == ("HEAD", "ERROR")
    assert shown(second)["http.response.status_code"] == 404 and shown(second)["error.type"] == "404"


def test_tracing_span_of_a_qhttp_that_fails(spans, closed_port):
    http = qhttp.QHttp("127.0.0.1", closed_port.port)
    http.get("/")
    assert http.waitForDone(5000)
    span, = spans()
    assert shown(span)["error.type"] == "ConnectionRefused" and "http.response.status_code" not in shown(span)
    assert span.status.status_code.name == "ERROR" and "refused" in span.status.description


def test_tracing_span_ends_where_a_qhttp_is_aborted(spans, scripted_server):
    server = scripted_server(faults.stall_before_head())
    http = qhttp.QHttp(server.host, server.port)
    http.get("/")
    turn_until(lambda: server.requests and server.requests[0])
    http.abort()
    assert [shown(span)["error.type"] for span in spans()] == ["Aborted"]


def test_tracing_spans_of_transfers_have_no_secret(spans, scripted_server):
    server = scripted_server(beyond=[ReceiveRequest(), Send(faults.whole())])
    place = f"{server.host}:{server.port}/a"
    with qhttp.Client(proxy=None) as client:
        client.get(f"http://{place}?token=hunter2#hunter2")
        with pytest.raises(qhttp.RequestError):
            client.get(f"http://me:hunter2@{place}")
    span, refused = spans()
    assert shown(span) == {"http.request.method": "GET", "url.full": f"http://{place}", "http.response.status_code": 200,
                           "server.address": server.host, "server.port": server.port}
    assert shown(refused)["url.full"] == f"http://{place}" and shown(refused)["error.type"] == "RequestError"
    assert "hunter2" not in span.to_json() + refused.to_json() and span.status.is_unset


def test_tracing_transfer_takes_its_span_to_the_server(spans, scripted_server):
    server = scripted_server(beyond=[ReceiveRequest(), Send(faults.whole())])
    with qhttp.Client(proxy=None) as client:
        client.get(f"http://{server.host}:{server.port}/a", [("X-Own", "1")])
    context = spans()[0].context
    sent = server.requests[0][0]
    assert b"traceparent: 00-%032x-%016x-" % (context.trace_id, context.span_id) in sent and b"X-Own: 1" in sent


@pytest.mark.parametrize(("url", "error"), [("http://nowhere.invalid/", "HostNotFound"),
                                            ("ftp://me:hunter2@x/", "RequestError"),
                                            ("http://127.0.0.1:99999/", "RequestError")])
def test_tracing_spans_of_transfers_that_fail(spans, url, error):
    with qhttp.Downloader([url], into="bytes", proxy=None, retries=0) as downloader:
        downloader.run()
    span, = spans()
    assert shown(span)["error.type"] == error and span.status.description and "hunter2" not in span.to_json()


def test_tracing_a_pipelined_run_goes_without_the_header(spans, scripted_server):
    server = scripted_server(beyond=[ReceiveRequest(), Send(faults.whole())] * 4)
    with qhttp.Downloader([f"http://{server.host}:{server.port}/{n}" for n in range(4)], into="bytes", proxy=None,
                          pipelining=4, per_host=1) as downloader:
        downloader.run()
    assert downloader.n_done == len(spans()) == 4 and b"traceparent" not in b"".join(server.requests[0])


def test_tracing_keeps_no_object_alive(spans):
    import gc
    import weakref
    http = qhttp.QHttp("h")
    reference = weakref.ref(http)
    del http
    gc.collect()
    assert reference() is None


def test_tracing_as_a_program_prints_spans(exporter, scripted_server):
    server = scripted_server(beyond=faults.answer())
    done = subprocess.run([sys.executable, EXAMPLE, f"http://{server.host}:{server.port}/a"], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 0 and '"http.response.status_code": 200' in done.stdout, done.stderr
