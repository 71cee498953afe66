"""docs/reference.md has a row for every name and overload of the class documentation, and names tests that exist."""
import ast
import functools
import json
import re
from pathlib import Path

import pytest

import qhttp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference.md"
ROW = re.compile(r"\| `(?P<name>[^|]+)` \| (?P<documented>[^|]+) \| (?P<ours>[^|]+) \| (?P<tests>[^|]+) \|")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[(\w+)\])?`")

# The list of the class documentation.
SIGNATURES = [
    "QHttp([parent=None])", "QHttp(hostname, mode[, port=0[, parent=None]])", "QHttp(hostname[, port=80[, parent=None]])",
    "abort()", "bytesAvailable()", "clearPendingRequests()", "close()", "currentDestinationDevice()", "currentId()",
    "currentRequest()", "currentSourceDevice()", "error()", "errorString()", "get(path[, to=None])", "hasPendingRequests()",
    "head(path)", "ignoreSslErrors()", "lastResponse()", "post(path, data[, to=None])", "read(maxlen)", "readAll()",
    "request(header, data[, to=None])", "request(header[, device=None[, to=None]])", "setHost(hostname[, port=80])",
    "setHost(hostname, mode[, port=0])", 'setProxy(host, port[, username=""[, password=""]])', "setProxy(proxy)",
    "setSocket(socket)", 'setUser(username[, password=""])', "state()",
]
SIGNALS = [
    "authenticationRequired", "dataReadProgress", "dataSendProgress", "done", "proxyAuthenticationRequired", "readyRead",
    "requestFinished", "requestStarted", "responseHeaderReceived", "sslErrors", "stateChanged",
]
ENUMERATIONS = {
    "Error": {"NoError": 0, "HostNotFound": 2, "ConnectionRefused": 3, "UnexpectedClose": 4, "InvalidResponseHeader": 5,
              "WrongContentLength": 6, "Aborted": 7, "ProxyAuthenticationRequiredError": 9, "AuthenticationRequiredError": 8,
              "UnknownError": 1},
    "ConnectionMode": {"ConnectionModeHttp": 0, "ConnectionModeHttps": 1},
    "State": {"Unconnected": 0, "HostLookup": 1, "Connecting": 2, "Sending": 3, "Reading": 4, "Connected": 5, "Closing": 6},
}
NAMES = [*SIGNATURES, *SIGNALS, *ENUMERATIONS, *(name for members in ENUMERATIONS.values() for name in members)]
IS_QUEUED = {"close", "get", "head", "post", "request", "setHost", "setSocket", "setUser"}
QUEUED = [signature for signature in SIGNATURES if signature.partition("(")[0] in IS_QUEUED
          and signature != "request(header, data[, to=None])"]      # its rules stand with the other overload


@functools.cache
def rows():
    found = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    matches = [ROW.fullmatch(line) for line in found]
    assert all(matches), [line for line, match in zip(found, matches, strict=True) if not match]
    return [match.groupdict() for match in matches]


def rows_of(name):
    return [row for row in rows() if row["name"] == name or row["name"].partition("(")[0] == name]


@functools.cache
def named_in(path):
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@functools.cache
def recorded():
    return {case["name"] for case in json.loads((ROOT / "tests/conformance/data/traces.json").read_text())}


@pytest.mark.parametrize("name", NAMES)
def test_reference_has_a_row_for(name):
    assert rows_of(name)


@pytest.mark.parametrize("name", QUEUED)
def test_reference_has_the_rules_of_a_queued_request_for(name):
    documented = " ".join(row["documented"] for row in rows_of(name))
    assert "does not block" in documented and "unique identifier" in documented and "requestStarted" in documented


def test_reference_names_tests_that_exist():
    for row in rows():
        named = TEST.findall(row["tests"])
        assert named and "<br>".join(match.group() for match in TEST.finditer(row["tests"])) == row["tests"], row
        for path, test, case in named:
            assert test in named_in(path), f"{path} has no {test}"
            assert not case or case in recorded(), f"no scenario {case} was recorded"


def test_reference_names_nothing_else():
    known = {"QHttp", *(name.partition("(")[0] for name in NAMES)}
    assert {row["name"].partition("(")[0] for row in rows()} == known


def test_reference_names_are_attributes():
    for name in NAMES:
        assert name.startswith("QHttp(") or hasattr(qhttp.QHttp, name.partition("(")[0]), name


@pytest.mark.parametrize("enumeration", ENUMERATIONS)
def test_reference_tells_the_values_of(enumeration):
    for name, value in ENUMERATIONS[enumeration].items():
        assert getattr(qhttp.QHttp, name) == getattr(getattr(qhttp.QHttp, enumeration), name) == value
        assert any(row["ours"].startswith(f"{value}. ") for row in rows_of(name))
