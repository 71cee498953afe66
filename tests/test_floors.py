"""The floors: imports point downwards only, and importing the package costs next to nothing.

    5  bulk, cli, aio, qt, fs      4  the Qt face      3  engine      2  protocol      1  _core, _sinks, _signal
    errors is below all of them; the package's __init__ is above all of them, and imports only when it is asked for a name.
"""
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import qhttp

PACKAGE = Path(qhttp.__file__).parent
SOURCES_OF_C = PACKAGE.parent / "src_c"
ERRORS, LAZY = 0, 9
FLOORS = {
    "errors": ERRORS,
    "_core": 1, "_connection": 1, "_sinks": 1, "_signal": 1, "devices": 1,
    "protocol": 2, "watching": 2, "logs": 2, "timings": 2,
    "engine": 3,
    "headers": 4, "header_base": 4, "network": 4, "wiring": 4, "authenticator": 4, "network_proxy": 4, "ssl_error": 4,
    "byte_array": 4, "objects": 4,
    "arguments": 4, "request_queue": 4, "queue_face": 4, "http": 4, "compat": 4,
    "bulk": 5, "cli": 5, "__main__": 5, "aio": 5, "qt": 5, "fs": 5, "remote_file": 5,
    "__init__": LAZY,
}
PROTOCOL = 2
SOURCES = sorted(path for ending in ("*.py", "*.pyx", "*.pxd") for path in PACKAGE.rglob(ending))
IMPORT_LINE = re.compile(r"^[ \t]*(?:from\s+(?P<module>[.\w]+)\s+(?P<verb>c?import)\s+(?P<names>[^#\n]*)"
                         r"|(?P<plain_verb>c?import)\s+(?P<plain>[\w., ]+))", re.MULTILINE)


def name_of(path):
    """The module's name inside the package: "engine.pool", or "__init__" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def inside(module, names):
    """What of an import is of this package, by names inside it."""
    if module == "qhttp":
        return [name for name in names if name] or ["__init__"]
    return [module.removeprefix("qhttp.")] if module.startswith("qhttp.") else []


def imports_of_python(path):
    """(name inside the package, verb, whether at the module's top level) of a .py file."""
    tree = ast.parse(path.read_text())
    found = []
    inner = {id(node) for outer in ast.walk(tree) if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
             for node in ast.walk(outer)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            targets = inside(node.module, [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            targets = [name for alias in node.names for name in inside(alias.name, [])]
        else:
            continue
        found += [(target, "import", id(node) not in inner) for target in targets]
    return found


def imports_of_cython(path):
    """The same of a .pyx or .pxd file, line by line."""
    found = []
    for match in IMPORT_LINE.finditer(path.read_text()):
        top = match.group()[0] not in " \t"
        if match["module"]:
            assert not match["module"].startswith("."), f"{path}: imports are absolute"
            names = [name.split()[0] for name in match["names"].strip("() \\").split(",") if name.strip()]
            targets, verb = inside(match["module"], names), match["verb"]
        else:
            names = [name.split()[0] for name in match["plain"].split(",") if name.strip()]
            targets, verb = [target for name in names for target in inside(name, [])], match["plain_verb"]
        found += [(target, verb, top) for target in targets]
    return found


def imports_of(path):
    return imports_of_python(path) if path.suffix == ".py" else imports_of_cython(path)


def floor_of(name):
    """The floor of a module of the package, or of a name that its __init__ exports."""
    return FLOORS.get(name.partition(".")[0], LAZY)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_imports_only_from_its_floor_and_below(path):
    name = name_of(path)
    assert name.partition(".")[0] in FLOORS, f"{name} stands on no floor: give it one here"
    if name == "__init__":
        assert [target for target, _, top in imports_of(path) if top] == []
        return
    for target, verb, _ in imports_of(path):
        assert floor_of(target) <= floor_of(name), f"{name} must not {verb} {target}"
        if floor_of(name) == PROTOCOL and floor_of(target) == 1:
            assert (target, verb) == ("_core", "cimport"), f"{name} may cimport from _core, no more: {verb} {target}"
    if name == "errors":
        assert imports_of(path) == []


@pytest.mark.skipif(not SOURCES_OF_C.is_dir(), reason="an installed package has no sources of its compiled modules beside it")
def test_sources_are_found_and_read():
    """The test itself sees what it should."""
    names = {name_of(path) for path in SOURCES}
    assert {"_core", "errors", "protocol.framing", "engine.exchange", "http", "__init__", "engine"} <= names
    assert {"protocol.auth", "protocol.challenges", "protocol.digest", "engine.authentication"} <= names
    assert ("_core", "cimport", True) in imports_of(PACKAGE / "engine" / "exchange.pyx")
    assert ("protocol.framing", "cimport", True) in imports_of(PACKAGE / "engine" / "exchange.pyx")
    assert ("engine.opening", "import", False) in imports_of(PACKAGE / "engine" / "exchange.pyx")     # when first used
    assert ("_core", "cimport", True) in imports_of(PACKAGE / "protocol" / "framing.pxd")
    assert ("errors", "import", True) in imports_of(PACKAGE / "protocol" / "framing.py")
    assert any(not top for _, _, top in imports_of(PACKAGE / "__init__.py"))


@pytest.mark.parametrize("text, expected", [
    ("from qhttp._core cimport (\n    Loop,\n)", [("_core", "cimport", True)]),
    ("    from qhttp.engine.pool import Pool", [("engine.pool", "import", False)]),
    ("from qhttp cimport _core", [("_core", "cimport", True)]),
    ("from qhttp import http, errors as e", [("http", "import", True), ("errors", "import", True)]),
    ("import qhttp.http", [("http", "import", True)]),
    ("cimport qhttp._core", [("_core", "cimport", True)]),
    ("import qhttp", [("__init__", "import", True)]),
    ("import os, qhttp.http as h", [("http", "import", True)]),
    ("cdef extern from \"turn.h\" nogil:\nfrom libc.stdint cimport uint64_t", []),
])
def test_import_lines_of_cython_are_read(tmp_path, text, expected):
    path = tmp_path / "x.pyx"
    path.write_text(text + "\n")
    assert imports_of_cython(path) == expected


@pytest.mark.skipif(not SOURCES_OF_C.is_dir(), reason="an installed package has no C sources beside it")
def test_c_floor_knows_no_python():
    files = sorted(SOURCES_OF_C.glob("*.[ch]"))
    assert len(files) > 10
    for path in files:
        included = re.findall(r"(?m)^\s*#\s*include\s+[<\"]([^>\"]+)", path.read_text())
        assert not any("ython" in name for name in included), path.name


# -- what importing costs
def loaded_by(statement):
    """The modules that a fresh interpreter without site-packages has after a statement."""
    code = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {"ssl", "asyncio", "logging", "typing", "urllib"}


def test_import_of_the_package_loads_next_to_nothing():
    loaded = loaded_by("import qhttp")
    assert "qhttp" in loaded
    assert loaded & (HEAVY | {"httptools", "enum", "_ssl", "re", "socket", "_socket"}) == set()
    assert {name for name in loaded if name.startswith("qhttp.")} == set()


def test_import_of_the_client_loads_nothing_heavy():
    loaded = loaded_by("from qhttp import QHttp")
    assert "qhttp.http" in loaded
    assert loaded & (HEAVY | {"_ssl", "httptools", "inspect", "socket"}) == set()


def test_request_that_fails_to_connect_loads_nothing_heavy():
    loaded = loaded_by("import qhttp; h = qhttp.QHttp('127.0.0.1', 1); h.get('/'); h.waitForDone(); assert h.error() == 3")
    assert loaded & (HEAVY | {"_ssl"}) == set()


def test_first_challenge_loads_nothing_that_its_scheme_does_not_need():
    loaded = loaded_by("from qhttp.engine.authentication import Party; p = Party('h');"
                       "assert 'qhttp.protocol.auth' not in sys.modules;"
                       "p.set_credentials('joe', 'x'); p.challenged(['NTLM, Basic', 'Basic']); p.value('GET', '/')")
    assert "qhttp.protocol.auth" in loaded
    assert loaded & (HEAVY | {"re", "hashlib", "_hashlib", "base64", "secrets", "enum", "unicodedata"}) == set()


@pytest.mark.parametrize("name", sorted(qhttp.__all__))
def test_every_exported_name_is_there(name):
    assert getattr(qhttp, name) is not None
    assert name in dir(qhttp)


def test_name_that_is_not_exported_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing_like_this"):
        _ = qhttp.nothing_like_this
