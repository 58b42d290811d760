# Distribute: everything a person types. The build itself is Meson's (meson.build); this file installs what is
# missing, chooses the build folder and runs. `make help` lists the targets.
SHELL := /bin/bash
BUILD ?= build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
SIM_SEEDS ?= 50
SIM_YEARS ?= 200
SIM_DAYS ?= 3
FUZZ_SECONDS ?= 60
MESON_FLAGS ?=
RELEASE := $(BUILD)/release
DEBUG := $(BUILD)/debug
.DEFAULT_GOAL := help
.PHONY: help deps build build-metadata run-metadata test test-interop test-netns test-integration test-chaos test-tsan sim fuzz coverage bench bench-link lint format clean install uninstall run hooks

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

deps: ## install the packages that build and tests need (apt; elsewhere: name them)
	@tools/deps.sh build

$(RELEASE)/build.ninja: | deps
	@meson setup $(RELEASE) --buildtype=release -Db_ndebug=false $(MESON_FLAGS) >/dev/null

$(DEBUG)/build.ninja: | deps
	@meson setup $(DEBUG) -Db_sanitize=address,undefined -Doptimization=1 -Db_lundef=false $(MESON_FLAGS) >/dev/null
	@ln -sf $(DEBUG)/compile_commands.json compile_commands.json

build: deps $(RELEASE)/build.ninja ## the optimized program: build/release/src/distribute (and dfs, ipfs beside it)
	@ninja -C $(RELEASE) -j$(JOBS) src/distribute src/dfs src/ipfs

run: build ## three nodes store a real file, lose a holder, heal, give it back; then an encrypted mesh behind NATs does
	@ninja -C $(RELEASE) -j$(JOBS) tests/netns/cone_nat >/dev/null
	@tools/demo.py $(RELEASE)/src/distribute
	@tools/demo_mesh.py $(RELEASE)/src/distribute $(RELEASE)/tests/netns

build-metadata: build ## the metadata service is part of the program: `distribute metadata`

run-metadata: build ## the metadata service on 127.0.0.1:8080, SQLite in ~/.distribute-metadata
	@$(RELEASE)/src/distribute metadata

test: deps $(DEBUG)/build.ninja ## all tests under ASan and UBSan, fuzz corpora replayed
	@ninja -C $(DEBUG) -j$(JOBS)
	@tools/run_tests.py $(DEBUG)

test-tsan: deps ## the tests of tasks, loop and workers under ThreadSanitizer
	@[ -f $(BUILD)/tsan/build.ninja ] || meson setup $(BUILD)/tsan -Db_sanitize=thread -Doptimization=1 -Db_lundef=false $(MESON_FLAGS) >/dev/null
	@ninja -C $(BUILD)/tsan -j$(JOBS)
	@tools/run_tests.py $(BUILD)/tsan --suite task --suite loop --suite store

sim: deps $(DEBUG)/build.ninja ## 100 simulated nodes: join, publish, fetch, lose a third, heal (SIM_SEEDS seeds); a key space of 10,000 nodes; a year of a mesh by its engines (SIM_YEARS seeds); a day of 50 whole members (SIM_DAYS seeds)
	@[ -f $(BUILD)/sim/build.ninja ] || meson setup $(BUILD)/sim -Doptimization=2 -Db_ndebug=false $(MESON_FLAGS) >/dev/null
	@ninja -C $(BUILD)/sim -j$(JOBS) sim/scenarios/scenarios sim/scenarios/keyspace sim/scenarios/mesh_year sim/scenarios/mesh_day
	@$(BUILD)/sim/sim/scenarios/keyspace
	@tools/run_sim.py $(BUILD)/sim --run scenarios:$(SIM_SEEDS) --run mesh_year:$(SIM_YEARS) --run mesh_day:$(SIM_DAYS) --jobs $(JOBS)

test-interop: build ## against Kubo 0.42 (built from the Go module proxy into a cache folder; skipped without Go)
	@tests/interop/run.sh $(RELEASE)/src/distribute

test-netns: build ## NATs, links with delay and local discovery in network namespaces, with Kubo where it can be built (skipped without rights)
	@tools/deps.sh netns
	@ninja -C $(RELEASE) -j$(JOBS) tests/netns/cone_nat tests/netns/link_emulator >/dev/null
	@tests/netns/run.sh $(RELEASE)/src/distribute $(RELEASE)/tests/netns

test-integration: build ## real processes: crash, full disk, ports, bad repositories, hostile peers and clients
	@tools/deps.sh integration
	@ninja -C $(RELEASE) -j$(JOBS) tests/process/attacker
	@tests/cli/run.sh $(RELEASE)/src/distribute

test-chaos: build ## real processes under faults: kills, partitions, slow lines, full disks, wrong clocks, damaged files
	@tools/deps.sh chaos
	@ninja -C $(RELEASE) -j$(JOBS) tests/netns/link_emulator >/dev/null
	@tests/chaos/run.sh $(RELEASE)/src/distribute $(RELEASE)/tests/netns

fuzz: deps ## explore with libFuzzer, FUZZ_SECONDS for each target
	@tools/deps.sh fuzz
	@[ -f $(BUILD)/fuzz/build.ninja ] || CC=clang meson setup $(BUILD)/fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 $(MESON_FLAGS) >/dev/null
	@ninja -C $(BUILD)/fuzz -j$(JOBS)
	@tools/run_fuzz.sh $(BUILD)/fuzz $(FUZZ_SECONDS)

coverage: deps ## line coverage; fails below 90% in the critical folders
	@tools/deps.sh coverage
	@[ -f $(BUILD)/coverage/build.ninja ] || meson setup $(BUILD)/coverage -Db_coverage=true -Doptimization=0 $(MESON_FLAGS) >/dev/null
	@ninja -C $(BUILD)/coverage -j$(JOBS)
	@tools/coverage.py $(BUILD)/coverage

bench: build ## speed and memory, as ratios against Kubo (where it is built) and the machine's limits
	@ninja -C $(RELEASE) -j$(JOBS) bench/http_constant bench/net_peer bench/metadata_load
	@bench/run.sh $(RELEASE)/src/distribute
	@$(MAKE) --no-print-directory bench-link

bench-link: build ## of these: one connection's rate over loopback and over an emulated link, beside go-libp2p (skipped without rights)
	@tools/deps.sh netns
	@ninja -C $(RELEASE) -j$(JOBS) tests/netns/link_emulator >/dev/null
	@bench/link.sh $(RELEASE)/src/distribute $(RELEASE)/tests/netns

lint: deps $(DEBUG)/build.ninja ## layers, formatting, sizes, clang-tidy
	@tools/deps.sh lint
	@tools/lint.sh $(DEBUG)

format: ## format the sources
	@git ls-files '*.c' '*.h' | xargs clang-format -i

hooks: ## install the pre-commit hook of this clone
	@git config core.hooksPath tools/hooks && echo "pre-commit hook installed"

install: build ## install to PREFIX (/usr/local)
	@install -Dm755 $(RELEASE)/src/distribute $(DESTDIR)$(PREFIX)/bin/distribute
	@ln -sf distribute $(DESTDIR)$(PREFIX)/bin/dfs

uninstall: ## remove what install put there; repositories (~/.distribute) stay
	@rm -f $(DESTDIR)$(PREFIX)/bin/distribute $(DESTDIR)$(PREFIX)/bin/dfs

clean: ## remove what was built
	@rm -rf $(BUILD) compile_commands.json
