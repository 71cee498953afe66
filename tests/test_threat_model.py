"""docs/threat-model.md says of each bound what the code says: its name, its first value, and where it is set."""
import ast
import inspect
import re
from pathlib import Path

import pytest

import qhttp
from qhttp.bulk.settings import DEFAULTS, TIMES

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "threat-model.md").read_text()
ROW = re.compile(r"^\| [^|`]+ \| (?P<value>[^|]+) \| (?P<setting>`[^|]+) \|$", re.M)
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}
SETTERS = {"setConnectTimeout", "setTransferTimeout", "setTotalTimeout", "setMinimumRate", "setReadBufferSize", "setPipelining"}
SETTINGS = {*TIMES, "min_speed", "retries", "max_size", "max_redirects", "max_codings", "max_expansion", "jobs", "per_host",
            "window"} - {"host_rate"}      # those that bound what others can do


def value_of(text):
    number, _, unit = text.partition(" ")
    return int(number) * UNITS[unit] if unit in UNITS else ast.literal_eval(text)


BOUNDS = TEXT.partition("## Bounds")[2].partition("**What")[0]
ROWS = [(value_of(row["value"]), row["setting"]) for row in ROW.finditer(BOUNDS)]
CONSTANTS = [(value, *match.groups()) for value, setting in ROWS if (match := re.fullmatch(r"`(\w+)` in `([\w/.]+)`", setting))]


def given(kind):
    """{name: value} of the rows that are set by `kind`(name)."""
    return {match[1]: value for value, setting in ROWS if (match := re.fullmatch(rf"`{kind}\((\w+)\)`", setting))}


def test_threat_model_has_all_limits():
    shown = dict(pair.split("=") for pair in repr(qhttp.Limits())[len("Limits("):-1].split(", "))
    assert given("Limits") == {name: int(value) for name, value in shown.items()}


def test_threat_model_has_all_bounds_of_the_downloader():
    assert given("Downloader") == {name: DEFAULTS[name] for name in SETTINGS}


def test_threat_model_has_all_setters_of_qhttp():
    named = {name for _, setting in ROWS for name in re.findall(r"`QHttp\.(\w+)`", setting)}
    assert named == SETTERS and all(callable(getattr(qhttp.QHttp, name)) for name in named)
    assert f"; {given_ms()} at first" in inspect.getdoc(qhttp.QHttp.setConnectTimeout)


def given_ms():
    return next(value for value, setting in ROWS if "setConnectTimeout" in setting)


@pytest.mark.parametrize("value, name, path", CONSTANTS, ids=str)
def test_threat_model_constant_is_that_of_the_code(value, name, path):
    line = re.search(rf"^\s*(?:#define )?{name}\b\s*=?\s*(.+?),?\s*(?:#.*|/\*.*)?$", (ROOT / path).read_text(), re.M)
    expression = line[1].replace("(size_t)", "")
    assert eval(expression, {}) == value        # of our own source: numbers and shifts


def test_threat_model_rows_are_all_read():
    assert len(ROWS) == BOUNDS.count("\n| ") - 1 and len(CONSTANTS) > 10


def test_threat_model_names_files_that_exist():
    named = re.findall(r"`((?:tests|src_c)/[\w/.]+)`", TEXT)
    assert named and [path for path in named if not (ROOT / path).exists()] == []
