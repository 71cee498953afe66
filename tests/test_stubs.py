"""The stubs beside the compiled modules and the lazy packages: all are there, and name what is exported. What they say of it is
looked at by mypy's stubtest (tools/check_types.py)."""
import ast
from importlib import import_module
from pathlib import Path

import pytest

import qhttp

PACKAGE = Path(qhttp.__file__).parent
BINARIES = sorted(PACKAGE.rglob("*.so"))


def test_compiled_modules_are_found():
    assert {"_core", "transfer", "framing"} <= {path.name.partition(".")[0] for path in BINARIES}


@pytest.mark.parametrize("path", BINARIES, ids=lambda path: str(path.relative_to(PACKAGE)).partition(".")[0])
def test_compiled_module_has_a_stub_beside_it(path):
    assert path.with_name(path.name.partition(".")[0] + ".pyi").is_file()


@pytest.mark.parametrize("name", ["qhttp", "qhttp.compat"])
def test_stub_of_a_lazy_package_names_what_it_exports(name):
    package = import_module(name)
    tree = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text())
    imported = {alias.asname for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert imported | defined == set(package.__all__)
