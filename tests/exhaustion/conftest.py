"""What the tests of exhaustion share."""
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("preload.c")


@pytest.fixture(scope="session")
def preload(tmp_path_factory):
    """preload.c as a shared library."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here")
    library = tmp_path_factory.mktemp("preload") / "preload.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
    return library
