"""Builds the compiled floors. What else there is to say about the package stands in pyproject.toml."""
import gzip
import os
import sys
import tarfile
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.sdist import sdist

if not sys.platform.startswith("linux"):
    sys.exit("qhttp is for Linux: its poller is epoll. src_c/poller.h is the seam where another one would go in.")

KERNELS = sorted(glob("src_c/*.c"))
HEADERS = sorted(glob("src_c/*.h"))
FLAGS = os.environ.get("QHTTP_CFLAGS", "-O2 -g0").split()       # `make sanitize` has others
LINK_FLAGS = os.environ.get("QHTTP_LDFLAGS", "").split()


def extension(name, *c_sources):
    source = f"qhttp/{name.replace('.', '/')}"
    source += ".pyx" if os.path.exists(source + ".pyx") else ".py"
    return Extension(f"qhttp.{name}", [source, *c_sources], include_dirs=["src_c"], depends=HEADERS,
                     extra_compile_args=["-std=c11", "-fvisibility=hidden", *FLAGS], extra_link_args=LINK_FLAGS)


class ReproducibleSdist(sdist):
    """The same files give the same archive, byte for byte: sorted, with one date (SOURCE_DATE_EPOCH) and nobody's name."""

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, **named):
        if format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, **named)
        date = int(os.environ.get("SOURCE_DATE_EPOCH", "1000000000"))
        path = base_name + ".tar.gz"

        def plain(entry):
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = date, 0, 0, "", ""
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            return entry

        with (open(path, "wb") as file, gzip.GzipFile("", "wb", mtime=date, fileobj=file) as packed,
              tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive):
            for name in sorted(glob(f"{base_dir}/**", recursive=True, include_hidden=True)):
                archive.add(name, recursive=False, filter=plain)
        return path


setup(cmdclass={"sdist": ReproducibleSdist}, ext_modules=cythonize(
    [extension("_core", *KERNELS), extension("_connection", *KERNELS), extension("_sinks", "src_c/sink.c"),
     extension("bulk.files", "src_c/place.c"), extension("bulk.body_sinks", "src_c/sink.c"),
     *(extension(name) for name in (
         "_signal", "protocol.head", "protocol.framing", "protocol.request", "engine.pool", "engine.connect",
         "engine.time_limits", "engine.observer", "engine.sending", "engine.exchange", "engine.opening", "engine.tls",
         "engine.tunnel", "engine.socks", "engine.foreign", "header_base", "byte_array", "request_queue", "queue_face",
         "bulk.outcome", "bulk.filed", "bulk.answered", "bulk.transfer", "bulk.intake", "bulk.patience",
         "bulk.scarcity", "bulk.lanes", "bulk.segments"))],
    compiler_directives={"language_level": 3, "binding": True, "embedsignature": False, "always_allow_keywords": True,
                         "freethreading_compatible": True},         # docs/design/0007-threads.md says why that is true
    build_dir="build/cython",
))
