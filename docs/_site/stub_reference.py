"""`{stub-reference}`: the public names of a module, signatures from its stub or source, docstrings from what is imported.

    ```{stub-reference} qhttp.http
    :names: QHttp
    ```

Signatures of compiled modules stand in their .pyi files and nowhere else; docstrings stand in the code and nowhere else.
"""
import ast
import importlib
import inspect
import re
from functools import cache
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]


@cache
def tree_of(module: str) -> ast.Module:
    path = ROOT / Path(*module.split("."))
    for candidate in (path.with_suffix(".pyi"), path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return ast.parse(candidate.read_text())
    raise FileNotFoundError(f"{module} has neither a stub nor a source")


def definition(module: str, name: str):
    """(the module, the node) of a class or function; imported names are followed."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return module, node
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qhttp")
                and any((alias.asname or alias.name) == name for alias in node.names)):
            return definition(node.module, name)
    return None


def members(module: str, node: ast.ClassDef, seen: set[str]):
    """(name, node) of the public members of a class and of its bases in this package, the nearest first."""
    for child in node.body:
        is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        if is_function and not child.name.startswith("_") and child.name not in seen:
            seen.add(child.name)
            yield child.name, child
    for base in node.bases:
        found = base_of(module, ast.unparse(base))
        if found is not None and isinstance(found[1], ast.ClassDef):
            yield from members(*found, seen)


def base_of(module: str, name: str):
    """(module, node) of a base class by the name it has in a module: `Base`, `module.Base`; None: it is of another package."""
    first, _, rest = name.partition(".")
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ClassDef) and node.name == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qhttp"):
            for alias in node.names:
                if (alias.asname or alias.name) == first:
                    return definition(f"{node.module}.{alias.name}", rest) if rest else definition(node.module, alias.name)
    return None


def signature(node, is_method: bool) -> str:
    arguments = ast.parse(ast.unparse(node)).body[0].args
    if is_method and arguments.args and arguments.args[0].arg in ("self", "cls"):
        del arguments.args[0]
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"({ast.unparse(arguments)}){result}"


def is_property(node) -> bool:
    return any(ast.unparse(decorator) in ("property", "functools.cached_property") for decorator in node.decorator_list)


def in_rst(text: str) -> str:
    """A docstring: `code` is literal, and nothing else means anything."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*|]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
    return "``".join(parts)


class StubReference(SphinxDirective):
    required_arguments, has_content = 1, False
    option_spec = {"names": directives.unchanged_required}

    def run(self):
        module, lines = self.arguments[0], []
        for name in self.options["names"].replace(",", " ").split():
            lines += self.described(module, name)
        lines = ["````{eval-rst}", *lines, "````"]          # the page is Markdown, what Python describes itself in is not
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source=f"reference of {module}"), self.content_offset, container)
        return container.children

    def described(self, module, name):
        found = definition(module, name)
        if found is None:
            raise self.error(f"{module} has no {name}")
        home, node = found
        value = getattr(importlib.import_module(module), name)
        if not isinstance(node, ast.ClassDef):
            return self.entry("function", f"{name}{signature(node, False)}", value, "")
        init = next((child for child in node.body if getattr(child, "name", "") == "__init__"), None)
        is_error = isinstance(value, type) and issubclass(value, BaseException)
        head = name + (signature(init, True) if init is not None else "")
        lines = self.entry("exception" if is_error else "class", head, value, "")
        for member, child in members(home, node, set()):
            attribute = inspect.getattr_static(value, member, None)
            if attribute is None or not inspect.getdoc(attribute):
                continue
            kind = "attribute" if is_property(child) else "method"
            head = member if kind == "attribute" else member + signature(child, True)
            prefix = "async " if isinstance(child, ast.AsyncFunctionDef) else ""
            lines += self.entry(kind, head, attribute, "   ", prefix)
        return lines

    def entry(self, kind, head, value, indent, prefix=""):
        text = in_rst(inspect.getdoc(value) or "")
        options = [f"{indent}   :async:"] if prefix else []
        return ["", f"{indent}.. py:{kind}:: {head}", *options, f"{indent}   :no-index:", "",
                *(f"{indent}   {line}" if line else "" for line in text.splitlines()), ""]


def setup(app):
    app.add_directive("stub-reference", StubReference)
    return {"parallel_read_safe": True}
