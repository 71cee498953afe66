"""What has to hold before a file may have its name."""
import base64
import hashlib
import os
import types

import pytest
from bulk.downloads import body

from qhttp.bulk.settings import Settings
from qhttp.bulk.verify import READ_LEN, Check, check_existing, checksums_of
from qhttp.errors import BodyError, ChecksumMismatch, FileError

DATA = body(1000)
SHA256, MD5 = hashlib.sha256(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()
WRONG = hashlib.sha256(b"other").hexdigest()


def digest_field(name, algorithm="sha-256", data=DATA):
    raw = hashlib.new(algorithm.replace("-", ""), data).digest()
    encoded = base64.b64encode(raw).decode()
    return name, f"{algorithm}={encoded}" if name == "Digest" else f"{algorithm}=:{encoded}:"


def check(given=None, fields=(), kinds=("representation", "content"), **settings):
    return Check.of(Settings(**settings), given, list(fields), list(kinds))


@pytest.mark.parametrize("given, n", [(None, 0), ([], 0), (f"sha256:{SHA256}", 1), ([f"sha256:{SHA256}", f"md5:{MD5}"], 2)])
def test_checksums_of_a_row(given, n):
    assert len(checksums_of(given)) == n


@pytest.mark.parametrize(
    "fields, settings",
    [
        ([], {}),
        ([digest_field("Repr-Digest")], {"server_digest": False}),
        ([("Content-MD5", "x")], {}),
        ([("Repr-Digest", "nonsense")], {}),
        ([("Repr-Digest", "adler=:AAAA:")], {}),
        ([("ETag", '"sha-256=:x:"')], {}),
    ],
)
def test_check_of_nothing_to_compare_is_none(fields, settings):
    assert check(None, fields, **settings) is None


@pytest.mark.parametrize("given, fields, settings", [
    (f"sha256:{SHA256}", [], {}), ([f"sha256:{SHA256}", f"MD5={MD5}"], [], {}), (None, [digest_field("Repr-Digest")], {}),
    (None, [digest_field("Digest", "sha-512")], {}), (None, [digest_field("Content-Digest")], {}),
    (None, [("Content-MD5", base64.b64encode(bytes.fromhex(MD5)).decode())], {"content_md5": True}),
])
def test_check_good_bytes_pass_and_others_do_not(given, fields, settings):
    check(given, fields, **settings).check_bytes(DATA)
    for wrong in (DATA[:-1], DATA + b"x", b"", bytes([DATA[0] ^ 1]) + DATA[1:]):
        with pytest.raises(ChecksumMismatch):
            check(given, fields, **settings).check_bytes(wrong)


def test_check_one_wrong_of_two_does_not_pass():
    with pytest.raises(ChecksumMismatch):
        check([f"md5:{MD5}", f"sha256:{WRONG}"]).check_bytes(DATA)


def test_check_of_a_joined_answer_passes_over_what_is_said_of_its_content():
    assert check(None, [digest_field("Content-Digest")], ["representation"]) is None
    check(None, [digest_field("Repr-Digest"), digest_field("Content-Digest", data=b"rest")], ["representation"]).check_bytes(
        DATA
    )


def test_check_of_a_part_passes_over_what_is_said_of_the_whole():
    check(None, [digest_field("Repr-Digest", data=b"whole"), digest_field("Content-Digest")], ["content"]).check_bytes(DATA)


def test_check_of_a_decoded_answer_passes_over_what_the_server_says():
    assert check(None, [digest_field("Repr-Digest"), digest_field("Digest")], []) is None
    with pytest.raises(ChecksumMismatch):
        check(f"sha256:{WRONG}", [], []).check_bytes(DATA)


def test_check_hashes_are_computed_without_anything_to_compare():
    found = check(hashes=("sha256", "md5"))
    found.check_bytes(DATA)
    assert found.digests == {"sha256": SHA256, "md5": MD5}


def test_check_digests_are_there_after_a_mismatch():
    found = check(f"sha256:{WRONG}")
    with pytest.raises(ChecksumMismatch):
        found.check_bytes(DATA)
    assert found.digests == {"sha256": SHA256}


@pytest.mark.parametrize("n", [0, 1, READ_LEN - 1, READ_LEN, READ_LEN + 1])
def test_check_descriptor_reads_all_of_it_and_leaves_its_position(n, tmp_path):
    data = body(n)
    (tmp_path / "f").write_bytes(data)
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        os.lseek(fd, n // 2, os.SEEK_SET)
        found = check(hashes=("sha1",))
        found.check_descriptor(fd)
        assert found.digests == {"sha1": hashlib.sha1(data).hexdigest()} and os.lseek(fd, 0, os.SEEK_CUR) == n // 2
    finally:
        os.close(fd)


def test_check_called_with_a_placing_takes_its_body_or_its_descriptor(tmp_path):
    (tmp_path / "f").write_bytes(DATA)
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    try:
        check(f"sha256:{SHA256}")(types.SimpleNamespace(body=DATA, fd=-1))
        check(f"sha256:{SHA256}")(types.SimpleNamespace(body=None, fd=fd))
        with pytest.raises(ChecksumMismatch):
            check(f"sha256:{WRONG}")(types.SimpleNamespace(body=None, fd=fd))
        with pytest.raises(OSError):
            check(f"sha256:{WRONG}")(types.SimpleNamespace(body=None, fd=1 << 20))
    finally:
        os.close(fd)


# -- a file that is there already
@pytest.mark.parametrize(
    "row, error",
    [
        (None, None),
        ({}, None),
        ({"size": 1000}, None),
        ({"size": 999}, BodyError),
        ({"checksum": f"sha256:{SHA256}"}, None),
        ({"checksum": f"sha256:{WRONG}"}, ChecksumMismatch),
        ({"size": 1000, "checksum": [f"md5:{MD5}", f"sha256:{WRONG}"]}, ChecksumMismatch),
    ],
)
def test_check_existing_is_what_the_row_says_or_an_error(row, error, tmp_path):
    path = str(tmp_path / "f")
    (tmp_path / "f").write_bytes(DATA)
    if error is None:
        assert check_existing(path, row) == len(DATA)
    else:
        with pytest.raises(error):
            check_existing(path, row)
    assert (tmp_path / "f").read_bytes() == DATA


def test_check_existing_that_is_gone_raises_oserror(tmp_path):
    with pytest.raises((OSError, FileError)):
        check_existing(str(tmp_path / "none"), None)


def test_check_existing_that_is_a_folder_is_no_file(tmp_path):
    with pytest.raises((OSError, FileError)):
        check_existing(str(tmp_path), None)
