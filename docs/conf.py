"""Sphinx: the pages of this folder, and a reference made of stubs and docstrings. `make docs` builds it into build/docs."""
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_site")]

from qhttp import __version__  # noqa: E402

project, author, version, release = "qhttp", "The qhttp founders", __version__, __version__
copyright = author
extensions = ["myst_parser", "links", "stub_reference"]
exclude_patterns = ["_site", "plots", "pictures"]
myst_heading_anchors = 4
html_theme, html_title = "furo", f"qhttp {version}"
html_copy_source = False
suppress_warnings: list[str] = []


def copy_pictures(app, exception):
    """Plots and pictures that stand in raw HTML, for light and dark pages."""
    if exception is None:
        for folder in ("plots", "pictures"):
            shutil.copytree(HERE / folder, Path(app.outdir) / folder, dirs_exist_ok=True)


def setup(app):
    app.connect("build-finished", copy_pictures)
