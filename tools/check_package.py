"""Builds the sdist twice and the wheel, and looks at them: the same bytes, stubs and marker present, no generated C, nothing
stray.

With --install the wheel goes into an empty environment, and the demo runs from there.
"""
import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

WANTED = {"qhttp/py.typed", "qhttp/__init__.py", "qhttp/__init__.pyi", "qhttp/_core.pyi", "qhttp/queue_face.pyi"}
ROOT = Path(__file__).resolve().parent.parent


def complaints(sdist_names: list[str], wheel_names: list[str]) -> list[str]:
    found = [f"the sdist has generated C: {name}" for name in sdist_names if name.endswith(".c") and "/src_c/" not in name
             and "/bench/" not in name and "/tests/" not in name]
    found += [f"the sdist has a binary: {name}" for name in sdist_names if name.endswith((".so", ".pyc"))]
    found += [f"the wheel lacks {name}" for name in WANTED - set(wheel_names)]
    found += [f"the wheel has sources of the build: {name}" for name in wheel_names if name.endswith((".pyx", ".c", ".h"))]
    if not any(name.endswith(".so") for name in wheel_names):
        found.append("the wheel has nothing compiled")
    return found


def build(folder: str, *what: str) -> None:
    subprocess.run([sys.executable, "-m", "build", *what, "--outdir", folder, str(ROOT)], check=True, stdout=subprocess.DEVNULL)


def is_reproducible(sdist: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        build(folder, "--sdist")
        again = next(Path(folder).glob("*.tar.gz"))
        return hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(sdist.read_bytes()).digest()


def run_installed(wheel: Path, folder: Path) -> None:
    """The demo in an environment that has the wheel, what that needs, and urllib3 for the comparison."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "-q", "--disable-pip-version-check", "install", str(wheel), "urllib3"], check=True)
    subprocess.run([python, ROOT / "examples" / "demo.py"], check=True, cwd=folder,
                   env={**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"})
    where = subprocess.check_output([python, "-c", "import qhttp; print(qhttp.__file__)"], cwd=folder, text=True)
    assert where.startswith(str(folder.resolve())), where


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        build(folder)
        sdist, wheel = next(Path(folder).glob("*.tar.gz")), next(Path(folder).glob("*.whl"))
        with tarfile.open(sdist) as archive:
            sdist_names = archive.getnames()
        with zipfile.ZipFile(wheel) as archive:
            wheel_names = archive.namelist()
        subprocess.run([sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)], check=True)
        found = complaints(sdist_names, wheel_names)
        if not is_reproducible(sdist):
            found.append("two sdists of the same files differ")
        audited = subprocess.run([sys.executable, "-m", "auditwheel", "show", str(wheel)], capture_output=True, text=True,
                                 check=False)
        if "manylinux" not in audited.stdout:
            found.append(f"auditwheel: {audited.stdout}{audited.stderr}")
        if "--install" in arguments:
            run_installed(wheel, Path(folder) / "empty")
    print("\n".join(found) or f"{sdist.name} ({len(sdist_names)} entries) and {wheel.name} ({len(wheel_names)}) are in order")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
