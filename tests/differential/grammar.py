"""Makes answers: status lines, fields, framing in all spellings, interim answers, chunks, trailers, bodies.

Most are well formed. Each choice falls now and then on something odd, so that two or three oddities meet in one answer.
"""
from random import Random

METHODS = ["GET"] * 10 + ["HEAD"] * 3 + ["POST"] * 2 + ["PUT", "DELETE", "OPTIONS", "PATCH", "X-ODD"]
STATUSES = [b"200"] * 12 + [b"201", b"206", b"204", b"205", b"301", b"304", b"404", b"416", b"500", b"503", b"599"]
ODD_STATUSES = [b"100", b"101", b"199", b"401", b"407", b"000", b"099", b"600", b"999", b"20", b"2000", b"2x0", b"+20",
                b" 200", b"-1", b""]
ODD_VERSIONS = [b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.10", b"HTTP/11",
                b"http/1.1", b"HTTP/1,1",
                b"HTTP/ 1.1", b"ICY", b"HTTP", b"\r\nHTTP/1.1", b"", b"HTTP/1.1\t", b"HTTPS/1.1"]
REASONS = [b" OK"] * 10 + [b"", b" ", b" Not Found", b"  two  blanks ", b" \xc3\xa4\xff", b"\tOK", b" a\tb",
           b" HTTP/1.1 200 OK"]
NAMES = [b"Server", b"Date", b"X-A", b"content-type", b"ETag", b"Set-Cookie", b"Set-Cookie", b"Vary", b"!#$%&'*+-.^_`|~09",
         b"Trailer", b"Content-Lengthy",
         b"Upgrade", b"Proxy-Connection", b"x"]
ODD_NAMES = [b"", b"X A", b"X-A ", b"X-A\t", b"X\xe4", b"X\0", b"(x)", b"X:Y", b"Content Length", b" X-A", b"Content-Length ",
             b"Transfer-Encoding\t", b"=?", b"\x0bX"]
VALUES = [b"", b"a", b"text/html; charset=utf-8", b'"quoted"', b"a, b", b"\xe4\xf6\xff", b"a\tb", b"a  b", b"x" * 40, b":",
          b"a:b", b"chunked", b"5", b"close"]
ODD_VALUES = [b"a\0b", b"\x01", b"a\x7f", b"a\rb", b"\x1b[0m", b"a\x0b", b"a\x0c", b"\x85", b"\xa0a\xa0", b"a\nb", b"\r"]
SPACES = [b" "] * 12 + [b"", b"\t", b"  ", b" \t "]
FOLDS = [b"\r\n b", b"\r\n\tb", b"\r\n  b \t", b"\r\n b\r\n c"]
ODD_FOLDS = [b"\r\n ", b"\n b", b"\r\n \t", b"\r b", b"\r\n b\0", b"\r\n \r\n b"]
ENDS = [b"\r\n"] * 200 + [b"\n", b"\r", b"\r\r\n", b"\n\r", b"", b" \r\n"]
CONNECTIONS = [b"close", b"keep-alive", b"Keep-Alive", b"Close", b"close, keep-alive", b"keep-alive,close", b"upgrade",
               b"x, close", b",close,", b"", b"clos", b"close;x",
               b'"close"', b"keep-alive, x"]
CODINGS = [b"Chunked", b"CHUNKED", b"chunked ", b"gzip, chunked", b"chunked, gzip", b"gzip", b"identity",
           b"identity, chunked", b"chunked, chunked", b"chunked;q=1", b"",
           b",chunked", b"chunked,", b"xchunked", b"chunked x", b'"chunked"', b"Identity", b"chunked\x0b", b"\tchunked",
           b"chun\r\n ked", b"deflate", b"chunked\xa0"]
LENGTHS = [b"+%d", b"-%d", b"0x%x", b"%d.0", b"%d, %d", b"%d,%d", b"0%d", b"00%d", b"%d ", b"%d\t", b"%d,", b",%d", b"%d;",
           b"%d a", b"\x0b%d", b"%d_0", b"'%d'", b"%dL", b"1e%d",
           b"%d\r\n ", b"\r\n %d", b"\xa0%d"]
SIZES = [b"%x;a", b"%x;a=b", b'%x;a="b;c"', b'%x;a="\\"\\\\"', b"%x ", b"%x\t", b"%x ;a", b"%x; a = b", b"0%x", b"00000%x",
         b"%x;", b"%x;;", b'%x;"a"', b"%x;\xe4"]
ODD_SIZES = [b"+%x", b"-%x", b" %x", b"0x%x", b"%x.", b"%x,", b"%xh", b"%x_0", b'%x;a="b', b"%x;\0", b"%x;a\rb", b'%x;"\\',
             b"%x a", b"", b"%x\x0b", b"%x\xa0", b"'%x", b"%x;\x01", b"%x\n;a"]
ODD_NUMBERS = [0, 2**63 - 1, 2**63, 2**64, 10**30]
HUGE_SIZES = [b"%x" % (2**62 - 1), b"%x" % 2**62, b"f" * 16, b"1" + b"0" * 16, b"f" * 20, b"f" * 21]
BODIES = [b"", b"a", b"hello", b"hello, world", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n", b"x" * 100,
          bytes(range(256))]
BEHIND = [b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"\r\n", b"x", b"\0", b"0\r\n\r\n"]


class Grammar:
    def __init__(self, rng: Random):
        self.rng = rng

    def pick(self, row):
        return row[int(self.rng.random() * len(row))]

    def one_in(self, n: int) -> bool:
        return self.rng.random() * n < 1

    def method(self) -> str:
        return self.pick(METHODS)

    def answer(self) -> bytes:
        """One answer, after interim ones at times, and with something behind it at times."""
        parts = []
        while self.one_in(10):
            parts.append(self.interim())
        body = self.pick(BODIES)
        fields, coded = self.framed(body)
        for _ in range(int(self.rng.random() * 4)):
            fields.insert(int(self.rng.random() * (len(fields) + 1)), self.field())
        if self.one_in(6):
            fields.insert(int(self.rng.random() * (len(fields) + 1)), self.line(b"Connection", self.pick(CONNECTIONS)))
        parts += [self.status_line(), *fields, self.pick(ENDS), coded]
        if self.one_in(15):
            parts.append(self.pick(BEHIND))
        return b"".join(parts)

    # -- heads
    def status_line(self) -> bytes:
        version = self.pick(ODD_VERSIONS) if self.one_in(25) else b"HTTP/1.1"
        status = self.pick(ODD_STATUSES) if self.one_in(30) else self.pick(STATUSES)
        return version + (b" " if not self.one_in(100) else self.pick(SPACES)) + status + self.pick(REASONS) + self.pick(ENDS)

    def interim(self) -> bytes:
        fields = [self.field() for _ in range(int(self.rng.random() * 2))]
        if self.one_in(8):
            fields.append(self.line(b"Content-Length", b"5") if self.one_in(2) else self.line(b"Transfer-Encoding", b"chunked"))
        return b"HTTP/1.1 %b Wait\r\n%b\r\n" % (self.pick([b"100", b"102", b"103", b"199"]), b"".join(fields))

    def line(self, name: bytes, value: bytes) -> bytes:
        return name + b":" + self.pick(SPACES) + value + (self.pick(SPACES) if self.one_in(8) else b"") + self.pick(ENDS)

    def field(self) -> bytes:
        name = self.pick(ODD_NAMES) if self.one_in(40) else self.pick(NAMES)
        value = self.pick(ODD_VALUES) if self.one_in(40) else self.pick(VALUES)
        if self.one_in(12):
            value += self.pick(ODD_FOLDS) if self.one_in(6) else self.pick(FOLDS)
        return self.line(name, value)

    # -- framing: the fields that announce a body, and the body as it goes over the wire
    def framed(self, body: bytes) -> tuple[list[bytes], bytes]:
        kind = self.rng.random()
        if kind < 0.4:
            return [self.line(b"Content-Length", b"%d" % len(body))], body
        if kind < 0.7:
            return [self.line(b"Transfer-Encoding", b"chunked")], self.chunked(body)
        if kind < 0.8:
            return [], body
        if kind < 0.88:
            return [self.line(b"Content-Length", self.fill(self.pick(LENGTHS), len(body)))], body
        if kind < 0.92:
            return [self.line(b"Transfer-Encoding", self.pick(CODINGS))], self.chunked(body)
        if kind < 0.95:
            lengths = [len(body), len(body), len(body) + 1, *ODD_NUMBERS]
            return [self.line(b"Content-Length", b"%d" % self.pick(lengths)) for _ in range(1 + self.one_in(2))], body
        fields = [self.line(b"Transfer-Encoding", b"chunked"), self.line(b"content-length", b"%d" % len(body))]
        self.rng.shuffle(fields)
        return fields, self.chunked(body)

    @staticmethod
    def fill(template: bytes, n: int) -> bytes:
        return template % ((n,) * template.count(b"%"))

    def chunked(self, body: bytes) -> bytes:
        n = 1 + int(self.rng.random() * max(1, len(body)))
        parts = [self.chunk(body[at:at + n]) for at in range(0, len(body), n)][:20]
        parts.append(self.size(0) + self.pick(ENDS))
        while self.one_in(6):
            parts.append(self.field())
        parts.append(self.pick(ENDS))
        return b"".join(parts)

    def chunk(self, data: bytes) -> bytes:
        return self.size(len(data)) + self.pick(ENDS) + data + self.pick(ENDS)

    def size(self, n: int) -> bytes:
        if not self.one_in(12):
            return b"%x" % n if not self.one_in(8) else b"%X" % n
        if self.one_in(12):
            return self.pick([*HUGE_SIZES, b"0" * 21 + b"%x" % n])
        return self.fill(self.pick(ODD_SIZES) if self.one_in(4) else self.pick(SIZES), n)
