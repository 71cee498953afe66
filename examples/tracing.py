"""A span of OpenTelemetry for each request of a QHttp and each transfer of a Downloader or Client, with the names of the
semantic conventions for HTTP clients. URLs are shown without credentials, query and fragment.

    python examples/tracing.py http://localhost:8000/a http://localhost:8000/b          # prints the spans
"""
import sys
from urllib.parse import urlsplit
from weakref import proxy

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

import qhttp
from qhttp import watching
from qhttp.protocol.shown import one_line, shown_url


def begin(method, url):
    """A span that is under way."""
    seen = {"http.request.method": method, "url.full": shown_url(str(url))}
    try:
        parts = urlsplit(seen["url.full"])
        seen["server.address"], seen["server.port"] = parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)
    except ValueError:
        pass                            # no URL at all: the span will have that as its error
    return trace.get_tracer("qhttp").start_span(method, kind=SpanKind.CLIENT, attributes=seen)


def end(span, status, error, text, timings):
    """status: of the answer, 0 for none; error: the name of what went wrong, None for nothing; text: that in words."""
    spent = {f"qhttp.{name}": value for name, value in timings._asdict().items() if value is not None}
    span.set_attributes({"http.response.status_code": status, **spent} if status else spent)
    error = error or (str(status) if status >= 400 else None)
    if error:
        span.set_attribute("error.type", error)
        span.set_status(StatusCode.ERROR, one_line(text))
    span.end()


class QHttpSpans:
    """What is sent is the program's own affair: who wants a traceparent there puts it into the QHttpRequestHeader."""

    def __init__(self, http):
        self.http, self.span, self.status = proxy(http), None, 0
        http.requestStarted.connect(self.started)
        http.responseHeaderReceived.connect(self.answered)
        http.requestFinished.connect(self.finished)

    def started(self, number):
        request, self.status = self.http.currentRequest(), 0
        self.span = begin(request.method(), self.http.currentUrl()) if request.isValid() else None      # setHost and the like

    def answered(self, header):
        self.status = header.statusCode()

    def finished(self, number, failed):
        span, self.span = self.span, None
        if span is not None:
            text = self.http.errorString() if failed else ""
            end(span, self.status, self.http.error().name if failed else None, text, self.http.timings())


class TransferSpans:
    def __init__(self, downloader):
        self.spans, self.injects = {}, downloader.settings.pipelining == 1     # else the request may be out already
        downloader.started.connect(self.started)
        downloader.finished.connect(self.ended)
        downloader.failed.connect(self.ended)

    def started(self, transfer):
        span = self.spans[transfer] = begin(transfer.request_method, transfer.url)
        carrier = {}
        propagate.inject(carrier, trace.set_span_in_context(span))
        for name, value in carrier.items() if self.injects else ():         # traceparent
            transfer.add_header(name, value)

    def ended(self, transfer):
        span = self.spans.pop(transfer, None) or begin(transfer.request_method, transfer.url)        # it failed before it began
        if transfer.n_retries + transfer.n_redirects:
            span.set_attribute("http.request.resend_count", transfer.n_retries + transfer.n_redirects)
        error = transfer.error
        end(span, transfer.status, type(error).__name__ if error else None, str(error or ""), transfer.timings)


def follow(made):
    (QHttpSpans if isinstance(made, qhttp.QHttp) else TransferSpans)(made)


def main(urls):
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)
    watching.watch(follow)
    with qhttp.Downloader(urls, into="bytes") as downloader:
        downloader.run()


if __name__ == "__main__":
    main(sys.argv[1:])
