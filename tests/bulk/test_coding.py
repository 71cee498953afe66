"""Content codings: undone however the bytes come, an error wherever they are not whole, and never more memory than a piece."""
import gzip
import random
import subprocess
import sys
import tracemalloc
import types
import zlib

import pytest
from bulk.coded_bodies import (
    CAP_OF_TRIES,
    CASES,
    KINDS,
    SHORT,
    WITH_CHECKSUM,
    encode,
    names,
    text,
    zstd_frame,
    zstd_module,
)

from qhttp.bulk import coding
from qhttp.bulk.coding import PIECE_CAP, Decoder, accept_encoding, parse_codings
from qhttp.errors import DecodeError, TooLarge, Truncated

MIB = 1 << 20
BEGIN_FRAME = b"\x28\xb5\x2f\xfd"


def decode(codings, *pieces, **limits):
    """All that comes out of these coded pieces, to the end."""
    decoder = Decoder(codings, **limits)
    given = [piece for data in pieces for piece in decoder.feed(data)]
    decoder.finish()
    assert all(0 < len(piece) <= PIECE_CAP for piece in given)
    made = b"".join(given)
    assert (decoder.n_in, decoder.n_out) == (sum(map(len, pieces)), len(made))
    return made


def one_by_one(data):
    return [data[n:n + 1] for n in range(len(data))]


def chain_id(kinds):
    return "+".join(kinds).replace(" ", "_")


each_case = pytest.mark.parametrize("kinds", CASES, ids=chain_id)
each_kind = pytest.mark.parametrize("kind", KINDS)


# -- parse_codings
@pytest.mark.parametrize("values, expected", [
    ([], []), ([""], []), ([" ,\t, "], []), (["identity"], []), (["gzip"], ["gzip"]), (["GZip"], ["gzip"]),
    (["x-gzip, X-COMPRESS"], ["gzip", "compress"]), (["gzip, identity ,br"], ["gzip", "br"]), (["gzip,,br,"], ["gzip", "br"]),
    (["gzip", "\tzstd "], ["gzip", "zstd"]), (["a,b", "c,d", "e"], ["a", "b", "c", "d", "e"]),
    (["identity, " * 50 + "gzip"], ["gzip"]), (["aes128gcm"], ["aes128gcm"]),
])
def test_parse_codings_fields_are_one_list(values, expected):
    assert parse_codings(values) == expected


@pytest.mark.parametrize("value", ["gzip;q=1", "gzip br", "gz\u00efp", "\"gzip\"", "gzip\r", "gzip\x00", "gzip=1", "g(z)",
                                   "\xa0gzip", "br,@"])
def test_parse_codings_of_what_is_no_token_is_an_error(value):
    with pytest.raises(DecodeError, match="malformed"):
        parse_codings(["gzip", value])


@pytest.mark.parametrize("values", [["gzip," * 6], ["gzip"] * 6, ["gzip, gzip, gzip", "gzip", "gzip,gzip"],
                                    ["gzip, " * 100_000]], ids=len)
def test_parse_codings_more_than_allowed_over_all_fields_is_an_error(values):
    with pytest.raises(DecodeError, match="more than 5"):
        parse_codings(values)


def test_parse_codings_limit_can_be_set_and_zero_is_none():
    assert parse_codings(["a, b"], 2) == ["a", "b"]
    with pytest.raises(DecodeError):
        parse_codings(["a, b"], 1)
    assert len(parse_codings(["gzip"] * 20, 0)) == 20


def test_parse_codings_message_shows_no_more_than_a_little():
    with pytest.raises(DecodeError) as caught:
        parse_codings(["\x1b[31m" * 1000])
    assert len(str(caught.value)) < 250 and "\x1b" not in str(caught.value)


# -- what is there
def without_packages(monkeypatch, *missing):
    monkeypatch.setattr(coding, "_modules", {})
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)        # an ImportError


def test_accept_encoding_names_what_is_installed(monkeypatch):
    without_packages(monkeypatch)
    pytest.importorskip("brotli")
    zstd_module()
    assert accept_encoding() == "gzip, deflate, br, zstd"


def test_accept_encoding_without_packages_names_what_zlib_does(monkeypatch):
    without_packages(monkeypatch, "brotli", "brotlicffi", "compression.zstd", "backports.zstd")
    assert accept_encoding() == "gzip, deflate"


def test_brotli_that_cannot_limit_its_output_is_as_good_as_none(monkeypatch):
    without_packages(monkeypatch, "brotlicffi")
    monkeypatch.setitem(sys.modules, "brotli", types.SimpleNamespace(Decompressor=object))
    assert "br" not in accept_encoding()
    with pytest.raises(DecodeError, match="or later"):
        Decoder(["br"])


@pytest.mark.parametrize("name, extra", [("br", "qhttp[brotli]"), ("zstd", "qhttp[zstd]")])
def test_decoder_without_its_package_says_what_to_install(monkeypatch, name, extra):
    without_packages(monkeypatch, "brotli", "brotlicffi", "compression.zstd", "backports.zstd")
    with pytest.raises(DecodeError) as caught:
        Decoder(["gzip", name])
    assert extra in str(caught.value)


@pytest.mark.parametrize("name", ["compress", "aes128gcm", "x" * 10_000, "\x1b[0m"])
def test_decoder_of_an_unknown_coding_is_an_error(name):
    with pytest.raises(DecodeError, match="unknown") as caught:
        Decoder(["gzip", name])
    assert len(str(caught.value)) < 100 and str(caught.value).isprintable()


def test_import_of_the_module_loads_no_optional_package():
    code = "import sys, qhttp.bulk.coding as c; c.Decoder(['gzip', 'deflate']); print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"brotli", "brotlicffi", "backports.zstd", "compression.zstd", "gzip"}


# -- whole bodies
@each_case
def test_decoder_body_at_once_is_what_it_was_made_from(kinds):
    data = text(300_000)
    assert decode(names(kinds), encode(kinds, data)) == data


@each_case
def test_decoder_body_byte_by_byte_is_what_it_was_made_from(kinds):
    data = text(5000)
    assert decode(names(kinds), *one_by_one(encode(kinds, data))) == data


@each_case
def test_decoder_body_at_every_split_is_what_it_was_made_from(kinds):
    coded = encode(kinds, SHORT)
    assert len(coded) <= CAP_OF_TRIES
    for n in range(len(coded) + 1):
        assert decode(names(kinds), coded[:n], coded[n:]) == SHORT


@each_case
def test_decoder_of_nothing_coded_gives_nothing(kinds):
    assert decode(names(kinds), encode(kinds, b"")) == b""


@each_kind
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_decoder_of_a_body_as_long_as_a_piece_is_whole(kind, more):
    data = bytes(PIECE_CAP + more)
    assert decode(names([kind]), encode([kind], data)) == data


def test_decoder_whose_last_coded_byte_stands_for_more_than_a_piece_gives_the_rest():
    for more in range(300):         # somewhere here all is read when the first piece is full, and some of it is still to come
        data = bytes(PIECE_CAP + more)
        assert decode(["deflate"], encode(["bare deflate"], data)) == data


@pytest.mark.parametrize("made", [bytes, bytearray, memoryview])
def test_decoder_takes_anything_like_bytes(made):
    data = text(100_000)
    assert decode(["gzip"], made(gzip.compress(data))) == data


def test_decoder_without_codings_hands_on_and_counts():
    decoder = Decoder([])
    pieces = list(decoder.feed(bytearray(PIECE_CAP + 5)))
    decoder.finish()
    assert list(map(len, pieces)) == [PIECE_CAP, 5] and (decoder.n_in, decoder.n_out) == (PIECE_CAP + 5,) * 2


def test_decoder_of_five_codings_undoes_them_in_the_right_order():
    assert decode(["gzip", "deflate"] * 2 + ["gzip"], encode(["gzip", "deflate"] * 2 + ["gzip"], SHORT)) == SHORT
    with pytest.raises(DecodeError):
        decode(["deflate", "gzip"], encode(["gzip", "deflate"], SHORT))


# -- cut off
@each_case
def test_decoder_body_cut_at_any_length_is_never_taken(kinds):
    coded = encode(kinds, SHORT)
    for n in range(len(coded)):
        with pytest.raises((Truncated, DecodeError)):
            decode(names(kinds), coded[:n])


@each_kind
def test_decoder_body_cut_off_gives_its_beginning_and_is_truncated(kind):
    data = text(100_000)
    coded = encode([kind], data)
    decoder = Decoder(names([kind]))
    made = b"".join(decoder.feed(coded[:-1]))
    assert data.startswith(made) and len(made) > 50_000
    with pytest.raises(Truncated, match=f"{len(coded) - 1} bytes"):
        decoder.finish()


@each_kind
@pytest.mark.parametrize("pieces", [[], [b""], [b"", b""]])
def test_decoder_of_an_empty_body_is_truncated(kind, pieces):
    encode([kind], b"")
    with pytest.raises(Truncated):
        decode(names([kind]), *pieces)


def test_decoder_outer_coding_whole_and_inner_cut_off_is_truncated():
    inner = gzip.compress(SHORT)
    with pytest.raises(Truncated):
        decode(["gzip", "gzip"], gzip.compress(inner[:-1]))


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_decoder_second_member_cut_off_is_truncated(kind):
    coded = encode([kind], SHORT)
    for n in range(1, len(coded)):
        with pytest.raises(Truncated):
            decode([kind], coded + coded[:n])


# -- broken
@pytest.mark.parametrize("kind", WITH_CHECKSUM)
@pytest.mark.parametrize("from_end", range(1, 5))
def test_decoder_wrong_checksum_is_an_error(kind, from_end):
    coded = bytearray(encode([kind], SHORT))
    coded[-from_end - (4 if kind == "gzip" else 0)] ^= 1
    with pytest.raises(DecodeError, match="broken"):
        decode(names([kind]), coded)


@pytest.mark.parametrize("from_end", range(1, 5))
def test_decoder_wrong_length_of_gzip_is_an_error(from_end):
    coded = bytearray(gzip.compress(SHORT))
    coded[-from_end] ^= 1
    with pytest.raises(DecodeError):
        decode(["gzip"], coded)


@pytest.mark.parametrize("kind", WITH_CHECKSUM)
def test_decoder_body_with_any_bit_flipped_is_never_taken_for_another(kind):
    coded = encode([kind], SHORT)
    for n in range(len(coded) * 8):
        flipped = bytearray(coded)
        flipped[n // 8] ^= 1 << n % 8
        try:
            made = decode(names([kind]), flipped)
        except (DecodeError, Truncated):
            continue
        assert made == SHORT        # a name or a time in gzip's header


@each_case
def test_decoder_of_noise_is_an_error_of_ours_or_ends(kinds):
    encode(kinds, b"")
    chance = random.Random(7)
    starts = [b"", b"\x1f\x8b\x08\x00", b"\x78\x9c", BEGIN_FRAME, encode(kinds, SHORT)[:20]]
    for n in range(300):
        noise = starts[n % len(starts)] + chance.randbytes(chance.randint(0, 60))
        cut = chance.randint(0, len(noise))
        try:
            decode(names(kinds), noise[:cut], noise[cut:])
        except (DecodeError, Truncated):
            pass


# -- behind the end
@each_kind
@pytest.mark.parametrize("tail", [b"x", b"\r\n", b"\xff", b"\x00\x01", b"<html>" * 1000])
def test_decoder_something_behind_the_end_is_an_error(kind, tail):
    coded = encode([kind], SHORT)
    for pieces in [coded + tail], [coded, tail], [coded, *one_by_one(tail[:8])], [coded[:-1], coded[-1:] + tail]:
        with pytest.raises(DecodeError):
            decode(names([kind]), *pieces)


@pytest.mark.parametrize("kind", ["deflate", "bare deflate", "br"])
def test_decoder_the_same_once_more_behind_the_end_is_an_error(kind):
    coded = encode([kind], SHORT)
    for pieces in [coded + coded], [coded, coded]:
        with pytest.raises(DecodeError):
            decode(names([kind]), *pieces)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_decoder_members_one_behind_the_other_are_one_body(kind):
    parts = [text(n) for n in (50, 0, 70, 1)]
    coded = b"".join(encode([kind], part) for part in parts)
    for pieces in [coded], one_by_one(coded), *([coded[:n], coded[n:]] for n in range(len(coded))):
        assert decode([kind], *pieces) == b"".join(parts)


@pytest.mark.parametrize("n_zeros", [1, 7, 512, 100_000])
def test_decoder_zeros_behind_gzip_are_padding(n_zeros):
    coded = gzip.compress(SHORT) * 2
    assert decode(["gzip"], coded + bytes(n_zeros)) == SHORT * 2
    assert decode(["gzip"], coded, *[b"\0"] * min(n_zeros, 1000)) == SHORT * 2


@pytest.mark.parametrize("behind", [b"x", gzip.compress(SHORT)])
def test_decoder_something_behind_the_padding_is_an_error(behind):
    for pieces in [gzip.compress(SHORT) + b"\0\0" + behind], [gzip.compress(SHORT), b"\0", b"\0", behind]:
        with pytest.raises(DecodeError, match="follows"):
            decode(["gzip"], *pieces)


def test_decoder_zeros_instead_of_gzip_are_an_error():
    with pytest.raises(DecodeError):
        decode(["gzip"], bytes(10))


def test_decoder_skippable_zstd_frames_are_skipped():
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    coded = skippable + zstd_frame(SHORT) + skippable
    for pieces in [coded], one_by_one(coded):
        assert decode(["zstd"], *pieces) == SHORT


# -- deflate, both of them
@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("wbits", [9, 12, 15, -9, -12, -15])
def test_decoder_deflate_of_any_encoder_is_told_apart(level, wbits):
    for data in SHORT, b"", b"\0", text(100_000):
        compressor = zlib.compressobj(level, wbits=wbits)
        assert decode(["deflate"], compressor.compress(data) + compressor.flush()) == data


# -- zstd's window
@pytest.mark.parametrize("window_log", [23, 24, 27])
def test_decoder_zstd_window_is_bounded(window_log):
    header = BEGIN_FRAME + bytes([0, (window_log - 10) << 3])       # RFC 8878 section 3.1.1.1: no size, the window, no checksum
    coded = header + b"\x01\0\0"                                    # one empty raw block, the last
    zstd_module()
    if window_log == 23:
        assert decode(["zstd"], coded) == b""
    else:
        with pytest.raises(DecodeError, match="memory"):
            decode(["zstd"], coded)


# -- limits
@each_kind
def test_decoder_bomb_comes_in_small_pieces_and_little_memory(kind):
    coded = encode([kind], bytes(32 * MIB))
    decoder = Decoder(names([kind]), max_expansion=0)
    list(decoder.feed(b""))
    n_bytes = largest = 0
    tracemalloc.start()
    try:
        for piece in decoder.feed(coded):
            n_bytes, largest = n_bytes + len(piece), max(largest, len(piece))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    decoder.finish()
    assert n_bytes == 32 * MIB and largest <= PIECE_CAP and peak < 3 * MIB


@pytest.mark.parametrize("kinds", [("gzip", "gzip"), ("gzip", "gzip", "gzip"), ("zstd", "gzip"), ("br", "gzip")], ids=chain_id)
def test_decoder_bomb_in_a_bomb_comes_in_little_memory(kinds):
    coded = encode(kinds, bytes(32 * MIB))
    decoder = Decoder(names(kinds), max_expansion=0)
    tracemalloc.start()
    try:
        lengths = list(map(len, decoder.feed(coded)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    decoder.finish()
    assert sum(lengths) == 32 * MIB and max(lengths) <= PIECE_CAP and peak < 3 * MIB


@each_case
def test_decoder_expansion_beyond_the_limit_is_too_large(kinds):
    coded = encode(kinds, bytes(4 * MIB))
    decoder = Decoder(names(kinds), max_expansion=50, expansion_from=MIB)
    n_bytes = 0
    with pytest.raises(TooLarge, match="50 times"):
        for piece in decoder.feed(coded):
            n_bytes += len(piece)
    assert n_bytes <= MIB


def test_decoder_expansion_below_its_beginning_is_allowed():
    coded = gzip.compress(bytes(MIB))
    assert len(decode(["gzip"], coded, max_expansion=2, expansion_from=MIB)) == MIB
    with pytest.raises(TooLarge):
        decode(["gzip"], coded, max_expansion=2, expansion_from=MIB - 1)


def test_decoder_expansion_of_ordinary_data_is_allowed():
    data = text(MIB)
    assert decode(["gzip"], gzip.compress(data), max_expansion=50, expansion_from=1000) == data


def test_decoder_expansion_between_two_codings_counts():
    inner = gzip.compress(b"") * 10_000
    with pytest.raises(TooLarge):
        decode(["gzip", "gzip"], gzip.compress(inner), max_expansion=50, expansion_from=100_000)


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_decoder_of_many_more_members_than_bytes_came_is_an_error(kind):
    coded = gzip.compress(encode([kind], b"x") * 10_000)
    with pytest.raises(DecodeError, match="members"):
        decode([kind, "gzip"], coded)


def test_decoder_of_as_many_members_as_bytes_came_for_is_allowed():
    assert decode(["gzip"], gzip.compress(b"x") * 10_000) == b"x" * 10_000


@each_case
def test_decoder_max_size_is_the_most_that_is_given(kinds):
    data = text(3 * PIECE_CAP)
    coded = encode(kinds, data)
    assert decode(names(kinds), coded, max_size=len(data)) == data
    decoder, made = Decoder(names(kinds), max_size=len(data) - 1), b""
    with pytest.raises(TooLarge, match=str(len(data) - 1)):
        for piece in decoder.feed(coded):
            made += piece
    assert data.startswith(made) and 0 < len(made) < len(data)


def test_decoder_max_size_without_codings_holds_as_well():
    with pytest.raises(TooLarge):
        decode([], bytes(11), max_size=10)


# -- after an error
@pytest.mark.parametrize("bad", [b"no gzip", gzip.compress(SHORT) + b"x", gzip.compress(bytes(1000))])
def test_decoder_after_an_error_takes_and_ends_nothing(bad):
    decoder = Decoder(["gzip"], max_size=500)
    with pytest.raises((DecodeError, TooLarge)):
        list(decoder.feed(bad))
    for use in lambda: list(decoder.feed(gzip.compress(SHORT))), decoder.finish:
        with pytest.raises(DecodeError, match="before"):
            use()


@pytest.mark.parametrize("n_taken", [0, 1])
def test_decoder_whose_pieces_were_not_taken_is_not_whole(n_taken):
    decoder = Decoder(["gzip"])
    pieces = decoder.feed(gzip.compress(bytes(PIECE_CAP + 1)))
    for _ in range(n_taken):
        next(pieces)
    with pytest.raises(DecodeError, match="not all taken"):
        decoder.finish()
