"""Coded bodies for tests, of every coding that can be undone. `encode` skips the test where a package is missing."""
import gzip
import random
import zlib

import pytest

KINDS = ["gzip", "deflate", "bare deflate", "br", "zstd"]
WITH_CHECKSUM = ["gzip", "deflate", "zstd"]
CHAINS = [("gzip", "gzip"), ("deflate", "gzip"), ("gzip", "bare deflate"), ("br", "gzip"), ("gzip", "br"), ("zstd", "gzip"),
          ("gzip", "zstd"), ("br", "zstd")]
CASES = [(kind,) for kind in KINDS] + CHAINS
CAP_OF_TRIES = 200          # coded bytes of a short body, at most: it is cut and split at every place


def text(n_bytes):
    """Words without an order: they shrink to a third or so, and no two places are alike."""
    chance = random.Random(1)
    words = [bytes(chance.choices(b"abcdefghijklmnop", k=chance.randint(2, 9))) for _ in range(500)]
    made = b" ".join(chance.choice(words) for _ in range(n_bytes // 3 + 1))
    return made[:n_bytes]


SHORT = text(120)


def encode(kinds, data):
    """`data` after all these codings, applied in their order."""
    for kind in kinds:
        data = _ENCODERS[kind](data)
    return data


def names(kinds):
    """The same as Content-Encoding names them."""
    return ["deflate" if kind == "bare deflate" else kind for kind in kinds]


def zstd_module():
    """The standard library's zstd or its backport."""
    try:
        from compression import zstd
    except ImportError:
        return pytest.importorskip("backports.zstd")
    return zstd


def zstd_frame(data, **parameters):
    """A frame with these members of CompressionParameter."""
    zstd = zstd_module()
    options = {getattr(zstd.CompressionParameter, name): value for name, value in parameters.items()}
    compressor = zstd.ZstdCompressor(options=options)
    return compressor.compress(data) + compressor.flush()


def _bare(data):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def _br(data):
    brotli = pytest.importorskip("brotli")
    return brotli.compress(data, quality=5)      # the best one takes seconds


_ENCODERS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "bare deflate": _bare,
    "br": _br,
    "zstd": lambda data: zstd_frame(data, checksum_flag=1),
}
