# A thin face on CMake. `make help` says what there is.
BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)

# More flags for CMake, such as CMAKE_FLAGS=-DCNN_WERROR=ON
CMAKE_FLAGS ?=

# Options for `make bench` and `make bench-peers`, such as ARGS="--only train/ --quick"
ARGS ?=

configure = @command -v cmake >/dev/null || { echo "cmake is missing: run \`make deps\`, or install it" >&2; exit 1; }; \
            cmake -S . -B $(1) $(2) $(CMAKE_FLAGS) --log-level=NOTICE
compile   = @env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cmake --build $(1) -j $(JOBS)
check     = ctest --test-dir $(1) --output-on-failure

MAKEFLAGS += --no-print-directory

help: ## say what there is (the default)
	@echo "make TARGET [BUILD=folder] [PREFIX=/usr/local] [JOBS=n] [CMAKE_FLAGS=-D...] [ARGS=...]"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## compile the library and the program: build/cnn
	$(call configure,$(BUILD),-DCNN_TESTS=OFF)
	$(call compile,$(BUILD))

demo: ## install what is missing, build, fetch MNIST, train SimpleConvNet
	@tools/install-deps build data
	@$(MAKE) --no-print-directory build
	@tools/demo $(BUILD)

test: ## install what is missing, build, fetch MNIST, run all tests
	@tools/install-deps build data test
	$(call configure,$(BUILD),-DCNN_TESTS=ON)
	$(call compile,$(BUILD))
	@tools/fetch-data $(BUILD)/cnn >/dev/null
	$(call check,$(BUILD))

test-browser: build ## install Chromium where it is missing, test the page of `cnn serve` in it
	@tools/test-browser $(BUILD)

accuracy: ## train recipes/ with several seeds each, print docs/results.md's table (hours; ARGS=--help)
	@tools/install-deps build data || exit 1
	@$(MAKE) --no-print-directory build
	@tools/fetch-data $(BUILD)/cnn >/dev/null
	@bench/accuracy --build $(BUILD) $(or $(ARGS),recipes/*.conf)

install: build ## install into PREFIX (below DESTDIR): library, header, program, manual
	DESTDIR='$(DESTDIR)' cmake --install $(BUILD) --prefix '$(PREFIX)'
	@[ -n '$(DESTDIR)' ] || [ "$$(id -u)" != 0 ] || ldconfig

bench: ## build, then measure every workload and the machine's own limits; build/bench.json
	@$(MAKE) --no-print-directory build
	@$(BUILD)/bench/bench --json $(BUILD)/bench.json $(ARGS)

bench-peers: ## by turns with PyTorch, ONNX Runtime, oneDNN, as far as they can be had (ARGS=--help)
	@tools/install-deps build data || exit 1
	@tools/install-deps peers || echo "going on with what is there" >&2
	@$(MAKE) --no-print-directory build
	@tools/fetch-data $(BUILD)/cnn >/dev/null || true
	@bench/peers/install-ort $(BUILD)/peers || true
	@bench/peers/run --build $(BUILD) $(ARGS)

deps: ## install what building, testing and the demo need (Debian, Ubuntu)
	@tools/install-deps build data test

clean: ## remove what was built
	rm -rf $(BUILD) build-asan build-clang build-aarch64

test-sanitize: ## all tests under the address and undefined behaviour sanitizers, in build-asan/
	$(call configure,build-asan,-DCMAKE_BUILD_TYPE=Debug -DCNN_SANITIZE=address$(comma)undefined -DCNN_TESTS=ON)
	$(call compile,build-asan)
	$(call check,build-asan) -j $(JOBS)

build-clang: ## compile with clang and run the unit tests, in build-clang/
	$(call configure,build-clang,-DCMAKE_C_COMPILER=clang -DCNN_TESTS=ON)
	$(call compile,build-clang)
	$(call check,build-clang) -j $(JOBS) -L unit

test-aarch64: ## install what is missing, cross-compile, unit tests under qemu, the same bits as here
	@tools/install-deps build data aarch64
	@$(MAKE) --no-print-directory build
	@tools/aarch64-sysroot build-aarch64/sysroot
	$(call configure,build-aarch64,-DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DCNN_TESTS=ON)
	$(call compile,build-aarch64)
	$(call check,build-aarch64) -j $(JOBS) -L unit -E 'torch|workloads'
	@tools/same-bits $(BUILD)/cnn qemu-aarch64 -L build-aarch64/sysroot build-aarch64/cnn

lint: ## check includes, format and clang-tidy
	@tools/lint

format: ## lay out all C files with clang-format
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

comma := ,

.PHONY: help build demo test test-browser accuracy install bench bench-peers deps clean test-sanitize build-clang test-aarch64 lint format
