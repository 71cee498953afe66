"""Checksums: what people write, what servers send, what is neither, and what is told when one is wrong."""
import base64
import hashlib
import pickle
import random
import subprocess
import sys

import pytest

from qhttp.bulk.integrity import DIGEST_LENGTHS, Checksum, Hashers, ServerDigest, algorithm_name, server_digests
from qhttp.errors import ChecksumMismatch, QHttpError

# RFC 9530 appendix B.1: its representation, and what its examples say of it
HELLO = b'{"hello": "world"}\n'
HELLO_SHA256 = "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="
# and appendix B.4: the last nine bytes of it
WORLD = b'"world"}\n'
WORLD_SHA256 = "jjcgBDWNAtbYUXI37CVG3gRuGOAjaaDRGpIUFsdyepQ="


def digest(name, data=HELLO):
    return hashlib.new(name, data).digest()


def encoded(name, data=HELLO):
    return base64.b64encode(digest(name, data)).decode()


MD5, SHA1, SHA256, SHA512 = (encoded(name) for name in ("md5", "sha1", "sha256", "sha512"))


# -- the table
def test_algorithms_are_all_of_fixed_length_that_every_python_has():
    lengths = {name: hashlib.new(name).digest_size for name in hashlib.algorithms_guaranteed}
    assert {name: length for name, length in lengths.items() if length} == DIGEST_LENGTHS


@pytest.mark.parametrize("name", DIGEST_LENGTHS)
def test_algorithm_name_is_found_however_it_is_written(name):
    for written in name, name.upper(), name.replace("_", "-"), name.replace("sha", "sha-"), name.replace("sha", "SHA-", 1):
        assert algorithm_name(written) == name


@pytest.mark.parametrize("name", ["", "crc32", "adler32", "sha", "sha2", "shake_128", "sha512_256", "sha256sum", "\u017fha256",
                                  "x" * 5000])
def test_algorithm_name_that_is_unknown_lists_what_is_known(name):
    with pytest.raises(ValueError, match="unknown checksum algorithm") as caught:
        algorithm_name(name)
    assert all(known in str(caught.value) for known in DIGEST_LENGTHS) and len(str(caught.value)) < 400


# -- Checksum
@pytest.mark.parametrize("name", DIGEST_LENGTHS)
def test_checksum_of_every_algorithm_is_read_in_every_spelling(name):
    expected = Checksum(name, digest(name))
    hexadecimal, text = digest(name).hex(), encoded(name)
    for written in (f"{name}:{hexadecimal}", f"{name.upper()}:{hexadecimal.upper()}",
                    f"{name.replace('sha', 'sha-')}={hexadecimal}", f"{name}:{text}", f"{name}={text}",
                    f"{name}:{text.rstrip('=')}", f"  {name} : {hexadecimal}\n"):
        assert Checksum.parse(written) == expected
    assert str(expected) == f"{name}:{hexadecimal}"
    assert Checksum.parse(str(expected)) == expected


@pytest.mark.parametrize("text", [
    "sha256:", "sha256=", "sha256:=", "sha256::", "sha256:" + "00 " * 20 + "00" * 2,
    "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "0" * 62 + "0g", "sha256:" + "0 " * 32, "sha256:" + "\u0660" * 64,
    "sha256:" + MD5, "md5:" + SHA256, "sha256:" + SHA256 + "=", "sha256:" + SHA256[:-2] + "==", "sha256:" + "=" * 44,
    "sha256:" + SHA256[:20] + " " + SHA256[21:], "sha256:" + SHA256[:20] + "_" + SHA256[21:], "sha1:" + "0" * 41,
    "sha256:" + "0" * 100_000,
])
def test_checksum_without_a_digest_of_its_algorithm_says_what_was_expected(text):
    with pytest.raises(ValueError, match="hexadecimal digits, or as many bytes in base64") as caught:
        Checksum.parse(text)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["", "  ", "sha256", digest("sha256").hex(), ":", "=", ":" + digest("sha256").hex(),
                                  "sha256-" + SHA256, "x" * 100_000])
def test_checksum_without_an_algorithm_says_how_it_is_written_or_what_is_known(text):
    with pytest.raises(ValueError, match=r"ALGORITHM:HEX|known are") as caught:
        Checksum.parse(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["crc32", "whirlpool", "shake_128"])
def test_checksum_of_an_unknown_algorithm_lists_what_is_known(name):
    with pytest.raises(ValueError, match="md5, sha1, sha224, sha256"):
        Checksum.parse(f"{name}:00")


@pytest.mark.parametrize("value", [None, b"sha256:00", 5, ["sha256:00"]])
def test_checksum_that_is_no_text_is_a_type_error(value):
    with pytest.raises(TypeError, match="str"):
        Checksum.parse(value)


def test_checksum_with_a_digest_of_another_length_is_a_value_error():
    with pytest.raises(ValueError, match="32 bytes, not 16"):
        Checksum("sha256", bytes(16))


def test_checksum_is_a_value():
    one, same = Checksum("SHA-256", digest("sha256")), Checksum("sha256", bytearray(digest("sha256")))
    assert one == same and hash(one) == hash(same) and pickle.loads(pickle.dumps(one)) == one
    assert one != Checksum("sha3_256", digest("sha256")) and one != Checksum("sha256", bytes(32)) and one != str(one)
    assert repr(one) == f"Checksum(sha256:{digest('sha256').hex()})"


def test_server_digest_is_a_value_of_its_own_kind():
    one = ServerDigest("sha256", digest("sha256"), "content", "Content-Digest")
    again = pickle.loads(pickle.dumps(one))
    assert again == one and (again.of, again.field) == ("content", "Content-Digest")
    assert one != ServerDigest("sha256", digest("sha256"), "representation", "Digest")
    assert one != Checksum("sha256", digest("sha256"))


# -- server_digests
def found(*fields, content_md5=False):
    """(field, of, algorithm) of each, after a look at the digest: all here are of HELLO."""
    digests = server_digests(fields, content_md5)
    assert [each.digest for each in digests] == [digest(each.algorithm) for each in digests]
    return [(each.field, each.of, each.algorithm) for each in digests]


REPR, CONTENT, OLD = ("Repr-Digest", "representation"), ("Content-Digest", "content"), ("Digest", "representation")


@pytest.mark.parametrize("value, algorithm", [
    (f"sha-256=:{HELLO_SHA256}:", "sha256"),
    (f"sha-512=:{SHA512}:", "sha512"),
    (f"md5=:{MD5}:", "md5"),
    (f"sha=:{SHA1}:", "sha1"),
    (f"sha-256=:{SHA256}:, sha-512=:{SHA512}:", "sha512"),
    (f"sha-512=:{SHA512}:,sha-256=:{SHA256}:", "sha512"),
    (f"md5=:{MD5}:,\tsha=:{SHA1}: , sha-256=:{SHA256}:", "sha256"),
    (f"sha-256=:{SHA256}:;a=1;b", "sha256"),
    (f'sha-256=:{SHA256}:;a="x, sha-512=:{SHA512}:, y", md5=:{MD5}:', "sha256"),
    (f'sha-256=:{SHA256}:;a="\\", sha-512=:{SHA512}:, "', "sha256"),
    (f"sha-256=:{SHA256.rstrip('=')}:", "sha256"),
    (f"crc32c=:AAAAAA==:, sha-256=:{SHA256}:", "sha256"),
    (f"sha-512=:AAAA:, sha-256=:{SHA256}:", "sha256"),
    (f"sha-512, sha-256=:{SHA256}:", "sha256"),
    (f"sha-512=?1, sha-256=:{SHA256}:", "sha256"),
    (f"sha-512=(:AAAA: :AAAA:), sha-256=:{SHA256}:", "sha256"),
    (f"sha-512={SHA512}, sha-256=:{SHA256}:", "sha256"),
    (f"sha-512=:{SHA512}, sha-256=:{SHA256}:", "sha256"),
    (f"sha-512=:{SHA512}:x, sha-256=:{SHA256}:", "sha256"),
    (f"SHA-512=:{SHA512}:, sha-256=:{SHA256}:", "sha256"),
    (f",,sha-256=:{SHA256}:,", "sha256"),
    (f"sha-256=:{encoded('sha256', b'')}:, sha-256=:{SHA256}:", "sha256"),
])
def test_server_digests_dictionary_gives_the_strongest_that_can_be_read(value, algorithm):
    assert found(("Repr-Digest", value)) == [(*REPR, algorithm)]
    assert found(("content-digest", value)) == [(*CONTENT, algorithm)]


@pytest.mark.parametrize("value, algorithm", [
    (f"SHA-256={SHA256}", "sha256"),
    (f"sha-256={SHA256}", "sha256"),
    (f"SHA-256={SHA256},MD5={MD5}", "sha256"),
    (f"MD5={MD5}, SHA={SHA1}", "sha1"),
    (f"UNIXsum=30637, SHA-512={SHA512}", "sha512"),
    (f"SHA-512={digest('sha512').hex()}, Md5={MD5}", "md5"),
    (f"SHA-512=:{SHA512}:, MD5={MD5}", "md5"),
])
def test_server_digests_old_digest_field_gives_the_strongest_that_can_be_read(value, algorithm):
    assert found(("Digest", value)) == [(*OLD, algorithm)]


def test_server_digests_lines_of_one_field_are_one_dictionary():
    fields = [("Repr-Digest", f"md5=:{MD5}:"), ("Date", "now"), ("repr-digest", f"sha-256=:{SHA256}:")]
    assert found(*fields) == [(*REPR, "sha256")]


def test_server_digests_each_field_has_its_own():
    fields = [("Content-Digest", f"md5=:{MD5}:"), ("Digest", f"SHA={SHA1}"), ("Repr-Digest", f"sha-256=:{SHA256}:")]
    assert found(*fields) == [(*REPR, "sha256"), (*OLD, "sha1"), (*CONTENT, "md5")]


def test_server_digests_content_md5_only_where_it_is_wanted():
    assert found(("Content-MD5", f" {MD5} ")) == []
    assert found(("content-md5", f" {MD5} "), content_md5=True) == [("Content-MD5", "content", "md5")]


def test_server_digests_of_the_rfcs_part_are_of_the_whole_and_of_the_part():
    fields = [("Content-Digest", f"sha-256=:{WORLD_SHA256}:"), ("Repr-Digest", f"sha-256=:{HELLO_SHA256}:")]
    for server_digest, data in zip(server_digests(fields), (HELLO, WORLD), strict=True):
        hashers = Hashers([server_digest.algorithm])
        hashers.update(data)
        hashers.verify(server_digest)


HOSTILE = [
    "", " ", ",", "=", "\x00", "sha-256", "sha-256=", "sha-256=:", "sha-256=::", "sha-256=:=:", "sha-256=:\u00e9:",
    "sha-256=:AAAA", '"', '\\"', 'sha-256=":', f'sha-256=:{SHA256}:;a="', f"sha-256=:{SHA256}: ;a", f"sha-256=:{SHA256}=:",
    f"sha-256=:{SHA256[:-1]}-:", f"sha-256=: {SHA256}:", f"sha-256= :{SHA256}:", f"sha-256 =:{SHA256}:",
    f"id-sha-256=:{SHA256}:", f"sha-384=:{SHA256}:", "sha-256=:" + "A" * 100_000 + ":", "," * 100_000, '"' * 100_000,
    '"\\' * 50_000, "\U0001f600=:AAAA:", f'\\", sha-256=:{SHA256}:',
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("field", ["Repr-Digest", "Digest", "Content-Digest", "Content-MD5"])
def test_server_digests_of_what_cannot_be_read_are_none(field, value):
    assert server_digests([(field, value)], content_md5=True) == []


def test_server_digests_of_noise_never_raise():
    chance = random.Random(3)
    pieces = ["sha-256=:", SHA256, ":", ";", ",", '"', "\\", "=", " ", "a", "\xff", "md5=", MD5]
    for _ in range(3000):
        value = "".join(chance.choices(pieces, k=12))
        server_digests([("Repr-Digest", value), ("Digest", value), ("Content-MD5", value)], True)


# -- Hashers
@pytest.mark.parametrize("name", DIGEST_LENGTHS)
def test_hashers_of_every_algorithm_find_what_hashlib_does(name):
    for n in range(len(HELLO) + 1):
        hashers = Hashers([name])
        hashers.update(HELLO[:n])
        hashers.update(memoryview(HELLO)[n:])
        assert hashers.hexdigest(name) == digest(name).hex()
        hashers.verify(Checksum(name, digest(name)))


def test_hashers_with_several_algorithms_hash_the_same_bytes():
    hashers = Hashers(iter(["SHA-256", "md5", "sha256"]))
    assert hashers.algorithms == ["sha256", "md5"]
    hashers.update(bytearray(HELLO))
    assert {name: hashers.hexdigest(name) for name in hashers.algorithms} == {
        name: digest(name).hex() for name in ("sha256", "md5")}


def test_hashers_can_go_on_after_a_look():
    hashers = Hashers(["sha1"])
    hashers.update(HELLO[:5])
    assert hashers.hexdigest("SHA-1") == digest("sha1", HELLO[:5]).hex()
    hashers.update(HELLO[5:])
    assert hashers.hexdigest("sha1") == digest("sha1").hex()


def test_hashers_mismatch_names_the_algorithm_what_was_expected_and_what_was_found():
    hashers = Hashers(["sha256"])
    hashers.update(b"other")
    with pytest.raises(ChecksumMismatch) as caught:
        hashers.verify(Checksum("sha256", digest("sha256")))
    assert isinstance(caught.value, QHttpError)
    for part in "sha256", "expected: " + digest("sha256").hex(), "found: " + digest("sha256", b"other").hex():
        assert part in str(caught.value)


def test_hashers_mismatch_with_a_servers_digest_names_its_field():
    with pytest.raises(ChecksumMismatch, match="Repr-Digest: md5"):
        Hashers(["md5"]).verify(*server_digests([("repr-digest", f"md5=:{MD5}:")]))


@pytest.mark.parametrize("algorithms, computed", [([], "none"), (["md5", "sha1"], "md5, sha1")])
def test_hashers_asked_for_what_they_do_not_compute_say_what_they_do(algorithms, computed):
    hashers = Hashers(algorithms)
    hashers.update(HELLO)
    for use in lambda: hashers.hexdigest("sha256"), lambda: hashers.verify(Checksum("sha256", bytes(32))):
        with pytest.raises(ValueError, match=f"sha256 is not computed here; computed are: {computed}"):
            use()


def test_hashers_with_an_unknown_algorithm_are_a_value_error():
    with pytest.raises(ValueError, match="crc32"):
        Hashers(["sha256", "crc32"])


def test_import_of_the_module_and_reading_load_no_hashlib():
    code = ("import sys; from qhttp.bulk.integrity import Checksum, Hashers, server_digests; Hashers([]);"
            f"Checksum.parse('md5:{MD5}'); server_digests([('digest', 'MD5={MD5}')]); print(*sys.modules)")
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert "qhttp.bulk.integrity" in loaded and not loaded & {"hashlib", "_hashlib", "base64"}
