PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
FUZZ_STAMP := $(VENV)/.installed-fuzz
BENCH := .bench
AUTOBAHN := .autobahn
COVERED := .coverage
SOURCES = $(shell find app bench docs examples grafana tests *.toml *.yml -type f -not -name '*.pyc' -not -path '*/node_modules/*')
# Tests that need more than this process, or so much of it that coverage would only be slow.
APART := browser or prometheus or process or load
PYTHON27 ?= $(lastword $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/2.7*/bin/python))
UV := $(shell command -v uv 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test check faults hostile autobahn mutants fuzz fuzz-quick observability bench bench-quick format grafana lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## .venv with the command polyfloat-news, and nothing else
	@echo "Installed: $(BIN)/polyfloat-news"

run: $(STAMP) ## the server on 127.0.0.1:8000, with the sample wire playing
	NEWS_LOG_FORMAT=$${NEWS_LOG_FORMAT:-console} exec $(BIN)/polyfloat-news serve --sample-wire

$(STAMP): requirements.runtime.lock requirements.build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "polyfloat-news needs Python 3.11 or newer, and this is $$($(PYTHON) -V): make PYTHON=python3.11" >&2; exit 1; }
	@echo "Creating $(VENV) and installing $$(grep -c == requirements.runtime.lock) runtime packages ..."
ifdef UV
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.runtime.lock -r requirements.build.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes \
		-r requirements.runtime.lock -r requirements.build.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	@touch $@

$(DEV_STAMP): $(STAMP) requirements.lock
	@echo "Adding the development packages ..."
ifdef UV
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
else
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
endif
	@touch $@

# Coverage measures the first part, so that `make check` need not run it again if nothing has changed.
test: $(DEV_STAMP) ## all tests
	rm -f $(COVERED)
	$(MAKE) --no-print-directory $(COVERED)
	$(BIN)/python -m pytest -m "$(APART)"

$(COVERED): $(DEV_STAMP) $(SOURCES)
	$(BIN)/coverage run -m pytest -m "not ($(APART))"

check: $(DEV_STAMP) ## format, lint, types, layers, coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory $(COVERED)
	$(BIN)/coverage report
	$(BIN)/coverage report --include "app/core/*" --fail-under 100

faults: $(DEV_STAMP) ## the faults at length, then the mutants: a quarter of an hour
	FAULTS=long $(BIN)/python -m pytest tests/faults -s
	$(BIN)/python -m tests.faults.run_mutants

hostile: $(DEV_STAMP) ## attacks at length, and a million changed frames: three minutes, eight more with Autobahn
	HOSTILE=long $(BIN)/python -m pytest tests/hostile -q -s

autobahn: $(DEV_STAMP) $(AUTOBAHN)/.built ## Autobahn's WebSocket cases beside plain aiohttp: eight minutes (needs Python 2.7 from pyenv)
	HOSTILE=long $(BIN)/python -m pytest tests/hostile/test_autobahn.py -q -s

$(AUTOBAHN)/.built:
	@test -n "$(PYTHON27)" || { echo "no Python 2.7: pyenv install 2.7.18, or make autobahn PYTHON27=..." >&2; exit 1; }
	$(PYTHON) -m venv $(AUTOBAHN)/tool
	$(AUTOBAHN)/tool/bin/pip install --quiet --disable-pip-version-check virtualenv==20.15.1
	$(AUTOBAHN)/tool/bin/virtualenv --quiet --python $(PYTHON27) $(AUTOBAHN)/suite
	$(AUTOBAHN)/suite/bin/pip install --quiet --disable-pip-version-check autobahntestsuite==25.10.1
	touch $@

mutants: $(DEV_STAMP) ## bugs planted one by one, and which test notices each: eight minutes; writes docs/mutants.md
	$(BIN)/python -m tests.faults.run_mutants

fuzz: $(FUZZ_STAMP) ## a coverage-guided fuzzer on everything that reads bytes: nine minutes; writes docs/fuzzing.md
	$(BIN)/python -m tests.fuzz.run 60 --write

fuzz-quick: $(FUZZ_STAMP) ## the same in a minute, without writing
	$(BIN)/python -m tests.fuzz.run 4

$(FUZZ_STAMP): $(DEV_STAMP) requirements.fuzz.lock
ifdef UV
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.fuzz.lock
else
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.fuzz.lock
endif
	@touch $@

observability: $(DEV_STAMP) ## every check of metrics, alerts and dashboards: 25 minutes; writes docs/observability-report.md
	$(BIN)/python -m tests.observability.report

bench: $(DEV_STAMP) $(BENCH)/.built ## speed beside the peers': nine minutes; writes docs/performance.md (needs gcc, zlib, npm)
	$(BIN)/python -m bench

bench-quick: $(DEV_STAMP) $(BENCH)/.built ## the same in three minutes, without writing
	$(BIN)/python -m bench --quick

# The load client, the lower bound in C and the peers.
$(BENCH)/.built: bench/native/load.c bench/native/limit.c bench/peers/requirements.lock bench/peers/package-lock.json
	mkdir -p $(BENCH)
	gcc -O2 -Wall -Wextra -o $(BENCH)/load bench/native/load.c -lz
	gcc -O2 -Wall -Wextra -o $(BENCH)/limit bench/native/limit.c
	$(PYTHON) -m venv $(BENCH)/venv
	$(BENCH)/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r bench/peers/requirements.lock
	npm ci --prefix bench/peers --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

format: $(DEV_STAMP) ## format and fix what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

grafana: $(DEV_STAMP) ## dashboards and rules again, from grafana/src
	$(BIN)/python -m grafana.src.build

# Needs uv. The locks name packages and hashes and no registry. UPGRADE=--upgrade takes newer versions.
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header $(UPGRADE)
lock: ## the locks again, from pyproject.toml (needs uv)
	$(COMPILE) --group dev pyproject.toml -o requirements.lock
	$(COMPILE) --constraint requirements.lock pyproject.toml -o requirements.runtime.lock
	$(COMPILE) --constraint requirements.lock --group build -o requirements.build.lock

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
