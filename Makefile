# Every verb of the project. Each does its own set-up; `make demo` and `make test` are the two to know.
#
#   demo       the main job on real files, beside urllib3          test       all tests (src_c and Python)
#   build      the compiled floors, in place                       test-all   GOAL (`test`) on each CPython 3.11 to 3.13 found:
#                                                                             GOAL=test-world, GOAL='test test-world'
#   test-world tests against nginx, Apache, Squid, Dante, pyspnego, PySide6 (QHTTP_WORLD_REQUIRED=1: none may be missing)
#   bench      compare with other clients; W=name for one workload  check      lint, types, package contents
#   bench-bulk compare downloaders; W=name for one workload         soak       long runs: faults, kills, scarcity, threads, load
#   adversarial  hostile answers on every way; W='qhttp-* ...' for some of them
#   sanitize   all tests under ASan and UBSan; C tests under       fuzz       coverage-guided: each kernel, and all of them
#              valgrind (memcheck); threads under TSan             fuzz-merge  through the core; what it found, into the tree
#   torture    each call that can be refused, and each allocation, refused in turn; MINUTES: no longer than so
#   differential  a million mutated answers, given to other readers of HTTP as well: who makes what of them
#   perf       instruction counts of the hot pieces      page       docs/benchmarks.md from bench/published/
#   docs       the site, into build/docs; links and programs of the pages, the reference's table, the examples
#   clean      everything that can be made again

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SOURCES := $(wildcard src_c/*.[ch] qhttp/*.p[xy]* qhttp/*/*.p[xy]*)
FUZZ_RUNS ?= 2000000
FUZZ_CORE_RUNS ?= 1000000
FUZZ_JOBS ?= 2
FUZZ_FOLDER := build/fuzz$(if $(SANITIZED),-sanitized)
GOAL ?= test
SOAK_DOWNLOADS ?= 100000
SOAK_FILES ?= 5000
SOAK_KILLS ?= 50
SOAK_ROUNDS ?= 500
SOAK_MINUTES ?= 3
SOAK_GIB ?= 4
MINUTES ?= 15
SOAK_EXAMPLES ?= 2000
SOAK_SEED ?= 1
DIFFERENTIAL_ANSWERS ?= 1000000
DIFFERENTIAL_SEED ?= 1
ADVERSARIAL_RUNS ?= 3
ADVERSARIAL_SPLITS ?= 20
# Outside of tests/world, and skipping what needs pyspnego, PySide6, pyarrow or uvloop where those are missing:
ALSO_WORLD := tests/protocol/test_auth_connection.py tests/engine/test_authentication.py tests/compat/test_devices.py \
              tests/face/test_documented_proxy.py tests/bulk/test_metalink.py tests/aio
ASAN_FLAGS := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer

.PHONY: demo test test-world test-all build bench bench-bulk perf page docs check sanitize memcheck fuzz fuzz-core fuzz-merge \
        clang differential adversarial torture soak clean servers

$(VENV)/ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -U "pip>=25.1"
	$(PIP) install --group test
	touch $@

$(VENV)/built: $(VENV)/ready setup.py $(SOURCES)
	$(BIN)/python setup.py -q build_ext --inplace -j2
	echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/qhttp-checkout.pth"
	touch $@

build: $(VENV)/built

servers:
	@tools/debian_packages.sh nginx=nginx-light

demo: build servers
	$(BIN)/python examples/demo.py

test: build servers
	$(MAKE) --no-print-directory -C src_c test
	$(BIN)/pytest -q

test-world: build
	@tools/debian_packages.sh nginx=nginx-light apache2=apache2 squid=squid-openssl danted=dante-server curl=curl openssl=openssl
	@tools/debian_packages.sh '/usr/lib/*/libEGL.so.1=libegl1' '/usr/lib/*/libGL.so.1=libgl1' '/usr/lib/*/libdbus-1.so.3=libdbus-1-3' \
	    '/usr/lib/*/libxkbcommon.so.0=libxkbcommon0' '/usr/lib/*/libfontconfig.so.1=libfontconfig1' '/usr/lib/*/libglib-2.0.so.0=libglib2.0-0' \
	    /usr/lib/python3/dist-packages/gi/__init__.py=python3-gi
	$(PIP) install --group world
	$(BIN)/pytest -q tests/world $(ALSO_WORLD)
	QHTTP_TORTURE=1 $(BIN)/pytest -q tests/torture
	QT_API=pyside6 QT_QPA_PLATFORM=offscreen $(BIN)/pytest -q tests/qt
	QT_API=pyqt6 QT_QPA_PLATFORM=offscreen $(BIN)/pytest -q tests/qt

test-all:
	tools/each_python.sh $(MAKE) --no-print-directory $(GOAL)

bench: build servers
	@tools/debian_packages.sh openssl=openssl curl=curl aria2c=aria2 wrk=wrk
	-$(PIP) install --group bench
	$(BIN)/python -m bench.compare $(if $(W),--workload $(W))
	$(if $(W),,$(BIN)/python -m bench.imports)
	$(if $(W),,$(BIN)/python -m bench.scaling)

bench-bulk: build servers
	@tools/debian_packages.sh curl=curl aria2c=aria2 wget2=wget2
	-$(PIP) install --group bench
	$(BIN)/python -m bench.bulk $(if $(W),--workload $(W))
	$(if $(W),,$(BIN)/python -m bench.cut_streams)

perf: build
	@tools/debian_packages.sh valgrind=valgrind
	$(BIN)/python -m bench.perf.instructions

page: build
	$(BIN)/python -m bench.page bench/published/*.json --readme

docs: build
	$(PIP) install --group docs
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	$(BIN)/pytest -q tests/test_docs.py tests/test_reference.py tests/compat/test_examples.py

check: build
	$(PIP) install --group check
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/python tools/check_types.py
	$(BIN)/python tools/check_package.py --install

memcheck:
	@tools/debian_packages.sh valgrind=valgrind
	$(MAKE) --no-print-directory -C src_c memcheck

sanitize: build memcheck
	$(MAKE) --no-print-directory -C src_c sanitize
	$(MAKE) --no-print-directory -C src_c tsan
	QHTTP_CFLAGS="$(ASAN_FLAGS)" QHTTP_LDFLAGS="-fsanitize=address,undefined" \
	    $(BIN)/python setup.py -q build --build-base build/sanitized --build-lib build/sanitized/lib
	rm -f build/sanitized/report.*
	PYTHONPATH=$(CURDIR)/build/sanitized/lib PYTHONMALLOC=malloc \
	    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:handle_segv=0:log_path=$(CURDIR)/build/sanitized/report \
	    UBSAN_OPTIONS=print_stacktrace=1:log_path=$(CURDIR)/build/sanitized/report \
	    LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	    $(BIN)/pytest -q -p no:cacheprovider
	! cat build/sanitized/report.* 2>/dev/null

soak: build
	$(BIN)/python tests/soak/faulty_objects.py --files $(SOAK_DOWNLOADS)
	$(BIN)/python tests/soak/faulty_files.py --files $(SOAK_FILES) --hosts 8
	$(BIN)/python tests/soak/faulty_files.py --files $(SOAK_FILES) --hosts 8 --through downloader
	$(BIN)/python tests/soak/faulty_files.py --files $(SOAK_FILES) --hosts 8 --max-faults 0
	$(BIN)/python tests/soak/kills.py --kills $(SOAK_KILLS)
	$(BIN)/python tests/soak/kills.py --kills $(SOAK_KILLS) --signal mixed --change-versions
	$(BIN)/python tests/soak/scarcity.py
	$(BIN)/python tests/threads/stress.py --rounds $(SOAK_ROUNDS)
	QHTTP_MACHINE_EXAMPLES=$(SOAK_EXAMPLES) $(BIN)/pytest -q -s tests/state_machine --hypothesis-seed=$(SOAK_SEED)
	$(BIN)/python tests/soak/huge.py --gib $(SOAK_GIB)
	$(BIN)/python tests/soak/steady.py --minutes $(SOAK_MINUTES)

adversarial: build
	PYTHONPATH=tests $(BIN)/python -m adversarial.campaign --runs $(ADVERSARIAL_RUNS) --splits $(ADVERSARIAL_SPLITS) \
	    $(if $(W),--ways $(foreach way,$(W),'$(way)'))

torture: build
	$(BIN)/python tests/torture/nth_failure.py --minutes $(MINUTES)

clang:
	@tools/debian_packages.sh clang=clang '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a=libclang-rt-dev'

fuzz: fuzz-core
	$(MAKE) --no-print-directory -C src_c fuzz FUZZ_RUNS=$(FUZZ_RUNS) FUZZ_JOBS=$(FUZZ_JOBS)

# The compiled floors, and llhttp with them, as clang builds them for libFuzzer; SANITIZED=1: with ASan and UBSan besides.
fuzz-core: clang $(VENV)/ready
	@tests/fuzz/build.sh $(BIN)/python $(FUZZ_FOLDER)
	@tests/fuzz/run.sh $(FUZZ_FOLDER) $(FUZZ_CORE_RUNS)

fuzz-merge: clang
	@$(MAKE) --no-print-directory -C src_c fuzz-merge FUZZ_JOBS=$(FUZZ_JOBS)
	@MERGE=1 tests/fuzz/run.sh $(FUZZ_FOLDER) 0

differential: build
	cd tests && "$(abspath $(BIN))/python" -m differential.campaign --answers $(DIFFERENTIAL_ANSWERS) --seed $(DIFFERENTIAL_SEED)

clean:
	$(MAKE) --no-print-directory -C src_c clean
	rm -rf build dist .venv .venv-* *.egg-info .pytest_cache
	find qhttp -name '*.so' -delete
