# One entry for people and CI. `make help` says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m
PACKAGES := core targets infra k6 dashboards bots report tasks flows docs tests

.PHONY: help suite ui notify test check proof bench setup programs lock format stack-up stack-down stack-status stack-reset clean distclean

help: ## what each target does
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make suite ARGS='--load smoke --phase exporters --phase tracing'   passes arguments on; ARGS=--help lists them"

suite: setup ## set everything up, then run the suite against the reference portal (smoke load)
	@$(RUN) flows.full_suite $(ARGS)

ui: setup ## Prefect's server with its UI, a worker and the deployments, until Ctrl-C
	@$(RUN) flows.ui $(ARGS)

notify: setup ## bring notifications.yaml to the Prefect server; ARGS=--test sends a message through each channel
	@$(RUN) flows.notifications $(ARGS)

test: setup check ## check, then flow and integration tests and a smoke run on free ports
	@$(RUN) pytest tests/flows tests/integration tests/e2e
	@$(RUN) flows.full_suite --ports free

check: $(BIN)/.installed ## lint, types and unit tests, under a minute
	@$(BIN)/ruff format --check --quiet $(PACKAGES) || { echo "run 'make format'"; exit 1; }
	@$(BIN)/ruff check --quiet $(PACKAGES)
	@$(BIN)/mypy
	@$(RUN) pytest -n auto tests/unit

proof: setup ## the long tables: made-up nights, kills, interruptions, the soak, faults, bottlenecks, healthy runs, the design's load; results go to docs/
	@$(RUN) tests.proof.history
	@$(RUN) tests.proof.kills
	@$(RUN) tests.proof.interrupted
	@$(RUN) tests.proof.soak
	@$(RUN) tests.proof.faults
	@$(RUN) tests.proof.bottlenecks
	@$(RUN) tests.proof.design_load

bench: setup ## ratios, side by side in one run
	@$(RUN) tests.bench

setup: $(BIN)/.installed programs

programs: $(BIN)/.installed ## fetch and build the real programs, once (about 6 GB of disk)
	@$(RUN) infra.embedded.programs

$(BIN)/.installed: requirements.lock
	@echo "setting up Python packages in .venv ..."
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer with venv is needed: apt-get install python3 python3-venv"; exit 2; }
	@$(PYTHON) -m venv .venv
	@awk '/^uv==/{p=1} p{print} p&&!/\\$$/{exit}' requirements.lock > .venv/uv.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	@touch $@

lock: ## resolve requirements-dev.in into requirements.lock (hashes, no index named)
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 requirements-dev.in -o requirements.lock
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 infra/portal/requirements.in -c requirements.lock -o infra/portal/requirements.txt

format: ## format and mend what ruff can mend
	@$(BIN)/ruff format $(PACKAGES)
	@$(BIN)/ruff check --fix $(PACKAGES)

stack-up: setup ## start the embedded stack and leave it running
	@$(RUN) infra.embedded up $(ARGS)

stack-down: ## stop it
	@$(RUN) infra.embedded down

stack-status: ## what runs, with process ids and ports
	@$(RUN) infra.embedded status

stack-reset: ## stop it and delete its data
	@$(RUN) infra.embedded reset

clean: ## delete run directories and tool caches of this checkout
	@rm -rf runs .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -type d -prune -exec rm -rf {} +

distclean: stack-reset clean ## also the Python environment and the stack's data (the shared cache of programs stays)
	@rm -rf .venv
