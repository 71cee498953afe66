"""Builds the sdist and the wheel and looks at what is in them: stubs and marker present, no generated C, nothing stray."""
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WANTED = {"qhttp/py.typed", "qhttp/__init__.py", "qhttp/__init__.pyi", "qhttp/_core.pyi", "qhttp/queue_face.pyi"}
ROOT = Path(__file__).resolve().parent.parent


def complaints(sdist_names: list[str], wheel_names: list[str]) -> list[str]:
    found = [f"the sdist has generated C: {name}" for name in sdist_names if name.endswith(".c") and "/src_c/" not in name
             and "/bench/" not in name]
    found += [f"the sdist has a binary: {name}" for name in sdist_names if name.endswith((".so", ".pyc"))]
    found += [f"the wheel lacks {name}" for name in WANTED - set(wheel_names)]
    found += [f"the wheel has sources of the build: {name}" for name in wheel_names if name.endswith((".pyx", ".c", ".h"))]
    if not any(name.endswith(".so") for name in wheel_names):
        found.append("the wheel has nothing compiled")
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "build", "--outdir", folder, str(ROOT)], check=True, stdout=subprocess.DEVNULL)
        sdist, wheel = next(Path(folder).glob("*.tar.gz")), next(Path(folder).glob("*.whl"))
        with tarfile.open(sdist) as archive:
            sdist_names = archive.getnames()
        with zipfile.ZipFile(wheel) as archive:
            wheel_names = archive.namelist()
        subprocess.run([sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)], check=True)
    found = complaints(sdist_names, wheel_names)
    print("\n".join(found) or f"{sdist.name} ({len(sdist_names)} entries) and {wheel.name} ({len(wheel_names)}) are in order")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
