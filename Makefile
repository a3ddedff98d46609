# make run    the server on 127.0.0.1:8000, the sample wire playing        make setup   .venv with the command polyfloat-news
# make test   all tests                                                    make check   format, lint, types, layers, coverage
# make faults   the faults at length: each prints what was lost, doubled or out of order       make mutants   planted bugs, and what notices them
# make hostile  attackers beside others: who was refused or gone when, and what it cost the others
# make autobahn   another suite's WebSocket cases against our framing (needs Python 2.7 from pyenv)
# make observability   metrics, alerts, dashboards: all checks and a report in docs/ (needs Prometheus, Chromium, npm)
# make bench   our speed beside the peers', written to docs/performance.md (needs gcc, zlib, npm)     make bench-quick   in 3 minutes
# make lock   the locks anew from pyproject.toml                           make grafana rules and dashboards anew

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH := .bench
AUTOBAHN := .autobahn
COVERED := .coverage
SOURCES = $(shell find app bench docs grafana tests *.toml *.yml -type f -not -name '*.pyc' -not -path '*/node_modules/*')
# What needs more than this process, or so much of it that coverage would only be slow.
APART := browser or prometheus or process or load
PYTHON27 ?= $(lastword $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/2.7*/bin/python))
UV := $(shell command -v uv 2>/dev/null)

.DELETE_ON_ERROR:
.PHONY: setup run test check faults hostile autobahn mutants observability bench bench-quick format grafana lock clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
ifdef UV
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	touch $@

run: $(STAMP)
	NEWS_LOG_FORMAT=$${NEWS_LOG_FORMAT:-console} exec $(BIN)/polyfloat-news serve --sample-wire

# Coverage looks at the first part, so that `make check` need not run it again where nothing has changed.
test: $(STAMP)
	rm -f $(COVERED)
	$(MAKE) --no-print-directory $(COVERED)
	$(BIN)/python -m pytest -m "$(APART)"

$(COVERED): $(STAMP) $(SOURCES)
	$(BIN)/coverage run -m pytest -m "not ($(APART))"

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory $(COVERED)
	$(BIN)/coverage report
	$(BIN)/coverage report --include "app/core/*" --fail-under 100

# The faults of tests/faults at length, then the planted bugs: a quarter of an hour.
faults: $(STAMP)
	FAULTS=long $(BIN)/python -m pytest tests/faults -s
	$(BIN)/python -m tests.faults.mutants

# Attacks at length, and a million changed frames: three minutes, and eight more where Autobahn is built.
hostile: $(STAMP)
	HOSTILE=long $(BIN)/python -m pytest tests/hostile -q -s

# Every case of the fuzzing client that concerns us, beside plain aiohttp: eight minutes. `make hostile` has it too, once built.
autobahn: $(STAMP) $(AUTOBAHN)/.built
	HOSTILE=long $(BIN)/python -m pytest tests/hostile/test_autobahn.py -q -s

$(AUTOBAHN)/.built:
	@test -n "$(PYTHON27)" || { echo "no Python 2.7: pyenv install 2.7.18, or make autobahn PYTHON27=..." >&2; exit 1; }
	$(PYTHON) -m venv $(AUTOBAHN)/tool
	$(AUTOBAHN)/tool/bin/pip install --quiet --disable-pip-version-check virtualenv==20.15.1
	$(AUTOBAHN)/tool/bin/virtualenv --quiet --python $(PYTHON27) $(AUTOBAHN)/suite
	$(AUTOBAHN)/suite/bin/pip install --quiet --disable-pip-version-check autobahntestsuite==25.10.1
	touch $@

# Bugs planted one by one, and which test notices each: eight minutes; writes docs/mutants.md.
mutants: $(STAMP)
	$(BIN)/python -m tests.faults.mutants

# Every check of metrics, alerts and dashboards with unhurried rules: 25 minutes; writes docs/observability-report.md.
observability: $(STAMP)
	$(BIN)/python -m tests.observability.report

# The load client, the limit and the peers are built first. Nine minutes.
bench: $(STAMP) $(BENCH)/.built
	$(BIN)/python -m bench

bench-quick: $(STAMP) $(BENCH)/.built
	$(BIN)/python -m bench --quick

$(BENCH)/.built: bench/native/load.c bench/native/limit.c bench/peers/requirements.lock bench/peers/package-lock.json
	mkdir -p $(BENCH)
	gcc -O2 -Wall -Wextra -o $(BENCH)/load bench/native/load.c -lz
	gcc -O2 -Wall -Wextra -o $(BENCH)/limit bench/native/limit.c
	$(PYTHON) -m venv $(BENCH)/venv
	$(BENCH)/venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r bench/peers/requirements.lock
	npm ci --prefix bench/peers --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rules and dashboards anew from grafana/src.
grafana: $(STAMP)
	$(BIN)/python -m grafana.src.build

# Needs uv. The locks name packages and hashes and no registry; the second one is what the image holds.
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-annotate --no-header
lock:
	$(COMPILE) --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) --constraint requirements.lock pyproject.toml -o requirements.runtime.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
