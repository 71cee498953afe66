"""Builds the target's own modules, and the program around them, beside the modules of qhttp that build.sh has built:

    python tests/fuzz/setup.py <folder>

The target itself is not measured: new edges in it would say nothing about qhttp.
"""
import os
import pathlib
import subprocess
import sys
import sysconfig

from Cython.Build import cythonize
from setuptools import Distribution, Extension

HERE = pathlib.Path("tests/fuzz")       # from the top of the checkout
MODULES = "core_run", "core_target"


def build_modules(folder):
    extensions = [Extension(name, [str(HERE / f"{name}.pyx")], include_dirs=["src_c"],
                            extra_compile_args=["-std=c11", "-O2", "-g1"]) for name in MODULES]
    distribution = Distribution({"ext_modules": cythonize(extensions, quiet=True, build_dir=str(folder / "cython"),
                                                          include_path=[str(HERE)])})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp, command.parallel = str(folder / "lib"), str(folder / "temp"), 2
    command.ensure_finalized()
    command.run()


def build_program(folder):
    of = sysconfig.get_config_var
    library = os.path.join(of("LIBPL"), of("LIBRARY"))
    if of("Py_ENABLE_SHARED"):
        python = [f"-L{of('LIBDIR')}", f"-Wl,-rpath,{of('LIBDIR')}", f"-lpython{of('LDVERSION')}"]
    elif os.path.exists(library):
        python = [library]
    else:
        sys.exit(f"{sys.executable} has no library to build a program with: install its -dev package (libpython3-dev)")
    sanitizers = "fuzzer,address,undefined" if folder.name.endswith("sanitized") else "fuzzer"
    subprocess.run([os.environ.get("CC", "clang"), "-O2", "-g1", f"-fsanitize={sanitizers}", str(HERE / "fuzz_core.c"),
                    f"-DPYTHON=\"{sys.executable}\"", f"-I{sysconfig.get_path('include')}", f"-I{folder / 'cython' / HERE}",
                    "-Wl,--export-dynamic", *python, *of("LIBS").split(), *of("SYSLIBS").split(), "-ldl", "-lm",
                    "-o", str(folder / "fuzz_core")], check=True)


if __name__ == "__main__":
    build_modules(pathlib.Path(sys.argv[1]))
    build_program(pathlib.Path(sys.argv[1]))
