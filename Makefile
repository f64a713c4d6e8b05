# Two commands set everything up by themselves: `make demo` and `make test`.
# They need Python 3.11 with its venv module, git, make, and the package registries; the broker and
# the database are fetched into the virtual environment and a cache folder.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DATASET ?= streets
DATA ?=
PYTEST ?=
# Compiled with the installation: what changes there is installed anew.
KERNEL := $(wildcard bus/*/*.pxd) $(patsubst %.pxd,%.py,$(wildcard bus/*/*.pxd)) \
	$(wildcard bus/*/*/*.pyx)

UV_COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" $(UPGRADE)

.PHONY: help setup demo up down test test-unit soak check format bench lock clean

help: ## Print these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort \
		| awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

setup: $(READY) ## Create .venv from the lock file, nothing else

# --require-hashes: what is installed is what was locked, whatever the registry says today.
$(READY): requirements.lock pyproject.toml hatch_build.py $(KERNEL)
	@command -v $(PYTHON) > /dev/null || { \
		echo "$(PYTHON) is not here. Install Python 3.11 (on Debian: apt-get install python3.11" \
			"python3.11-venv), or say PYTHON=<another 3.11 or newer>." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## Run the real register through the bus (DATASET=streets|villages, DATA=<folder>)
	$(BIN)/onesource demo --dataset $(DATASET) $(if $(DATA),--data $(DATA))

up: $(READY) ## Start the platform on this machine, in the foreground
	$(BIN)/onesource up

down: $(READY) ## Stop the platform that runs here
	$(BIN)/onesource down

test: $(READY) ## Run every test, on a real Kafka and a real Postgres
	$(BIN)/pytest $(PYTEST)

test-unit: $(READY) ## Run the tests that need neither
	$(BIN)/pytest tests/unit tests/property $(PYTEST)

soak: $(READY) ## Break everything for SOAK_SECONDS=1200, and judge what came of it (SOAK_SEED, SOAK_BROKERS=3)
	$(BIN)/python -m tests.faults.soak

check: $(READY) ## Lint, check formatting, types and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY) ## Format, and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY) ## Measure; prints ratios taken side by side in one run
	$(BIN)/python -m bench

lock: $(READY) ## Write the lock files anew (UPGRADE=--upgrade takes newer versions)
	$(UV_COMPILE) --all-extras --output-file requirements.lock pyproject.toml
	$(UV_COMPILE) --output-file requirements-runtime.lock pyproject.toml
	printf 'quixstreams>=3.28\nfastavro==1.13.1\n' \
		| $(UV_COMPILE) --output-file bench/peers/requirements-quix.lock -
	printf 'faust-streaming>=0.15.3\naiokafka[lz4]>=0.14\nfastavro==1.13.1\nuvloop>=0.22\n' \
		| $(UV_COMPILE) --output-file bench/peers/requirements-faust.lock -
	printf 'cython>=3.3\nhatchling>=1.27\nsetuptools>=80\n' | $(UV_COMPILE) --output-file docker/requirements-build.lock -

clean: ## Remove what was built, and the state of a stopped platform
	@if [ -x $(BIN)/onesource ]; then $(BIN)/onesource down || true; fi
	rm -f bus/*/*.so bus/*/*/*.so
	rm -rf $(VENV) .onesource .onesource-demo .onesource-soak .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
