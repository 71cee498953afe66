"""The other readers: h11, llhttp through httptools, and http.client. Each is given a whole answer."""
import http.client
import io

import h11
import httptools

from differential.cases import Case, Outcome

REQUEST_FIELDS = [("Host", "server")]


def ask_h11(case: Case) -> Outcome:
    connection, pieces, outcome, has_ended = h11.Connection(h11.CLIENT), [], Outcome(), False
    connection.send(h11.Request(method=case.method, target="/", headers=REQUEST_FIELDS))
    connection.send(h11.EndOfMessage())
    try:
        if case.data:
            connection.receive_data(case.data)
        while True:
            event = connection.next_event()
            kind = type(event)
            if kind is h11.Data:
                pieces.append(bytes(event.data))
            elif kind is h11.Response:
                outcome.status, outcome.fields = event.status_code, list(event.headers)
            elif kind is h11.EndOfMessage:
                break
            elif event is h11.NEED_DATA:
                if case.is_reset:
                    return Outcome("reset")
                has_ended = True
                connection.receive_data(b"")
            elif kind is h11.ConnectionClosed or event is h11.PAUSED:
                return Outcome(str(event))
    except h11.RemoteProtocolError as error:
        return Outcome(str(error))
    outcome.body, outcome.n_left = b"".join(pieces), len(connection.trailing_data[0])
    outcome.is_kept = not has_ended and connection.their_state is h11.DONE
    return outcome


class LlhttpEvents:
    """What httptools tells of the final answer; interim ones are passed over."""

    def __init__(self):
        self.parser, self.fields, self.pieces = None, [], []
        self.status, self.is_headed, self.is_whole, self.is_kept = 0, False, False, False

    def on_message_begin(self):
        if not self.is_whole:
            self.fields, self.status, self.is_headed = [], 0, False

    def on_header(self, name, value):
        if not self.is_headed:
            self.fields.append((name.lower(), value))

    def on_headers_complete(self):
        if not self.is_headed:
            self.status, self.is_headed = self.parser.get_status_code(), True

    def on_body(self, piece):
        if not self.is_whole:
            self.pieces.append(piece)

    def on_message_complete(self):
        if not self.is_whole and (self.status >= 200 or self.status == 101):
            self.is_whole, self.is_kept = True, self.parser.should_keep_alive()

    def is_final_head(self) -> bool:
        return self.is_headed and self.status >= 200

    def ends_at_the_close(self) -> bool:
        """What llhttp_finish would ask, which httptools does not offer (llhttp_message_needs_eof)."""
        names = {name for name, _ in self.fields}
        codings = [value.lower().rstrip(b" ") for name, value in self.fields if name == b"transfer-encoding"]
        if not self.is_final_head():
            return False
        if b"transfer-encoding" in names:
            return not codings[-1].endswith(b"chunked")
        return b"content-length" not in names


def ask_llhttp(case: Case) -> Outcome:
    """httptools cannot be told that a HEAD was sent: then it judges the head alone, and its body is nobody's."""
    events = LlhttpEvents()
    events.parser = parser = httptools.HttpResponseParser(events)
    try:
        parser.feed_data(case.data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        if not events.is_whole and not (case.method == "HEAD" and events.is_final_head()):
            return Outcome(str(error) or type(error).__name__)
    if case.method == "HEAD" and events.is_final_head():
        return Outcome(None, events.status, events.fields)
    if not events.is_whole and (case.is_reset or not events.ends_at_the_close()):
        return Outcome("cut")
    return Outcome(None, events.status, events.fields, b"".join(events.pieces), None, events.is_whole and events.is_kept)


class Stream(io.BytesIO):
    """Stands in for a socket, and for the file that http.client makes of it."""

    def makefile(self, mode):
        return self

    def close(self):
        """The position is asked for afterwards."""


class ResetStream(Stream):
    """Its end is no end: whoever asks for more than there is hears so."""

    def readline(self, limit=-1):
        line = super().readline(limit)
        if not line.endswith(b"\n") and not 0 < limit == len(line):
            raise ConnectionResetError
        return line

    def read(self, n=-1):
        data = super().read(n)
        if n is None or n < 0 or len(data) < n:
            raise ConnectionResetError
        return data


def ask_http_client(case: Case) -> Outcome:
    stream = (ResetStream if case.is_reset else Stream)(case.data)
    response = http.client.HTTPResponse(stream, method=case.method)
    try:
        response.begin()
        body = response.read()
    except (http.client.HTTPException, OSError, ValueError, OverflowError) as error:
        return Outcome(f"{type(error).__name__}: {error}")
    fields = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.getheaders()]
    return Outcome(None, response.status, fields, body, len(case.data) - stream.tell(), not response.will_close)


OTHERS = {"h11": ask_h11, "llhttp": ask_llhttp, "http.client": ask_http_client}
