# `make` lists the targets. Everything installs into .venv beside this file; nothing else on the machine is touched,
# except that `make test` as root on Debian installs Chromium and PostgreSQL where they are missing.

PYTHON ?= python3
PORT ?= 8000
SEEDS ?= 2000
FROM ?= 1
BIN := .venv/bin
RUN := $(BIN)/python -m

.DEFAULT_GOAL := help
.PHONY: help demo setup dev test lint types imports check e2e bench kills migrate migration lock services clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/run.stamp ## start the app and its sandbox with a lively workspace, print address and sign-in
	@PORT=$(PORT) $(RUN) web.cli demo

test: .venv/dev.stamp services ## run every test, on every core (PostgreSQL and a browser included)
	$(RUN) pytest -n auto --maxprocesses 6 --dist worksteal

check: lint types imports test ## linters, types, import contracts, every test

lint: .venv/dev.stamp ## ruff and djlint
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(BIN)/djlint templates --lint --quiet

types: .venv/dev.stamp ## mypy --strict on core and web
	$(RUN) mypy

imports: .venv/dev.stamp ## who may import whom
	$(BIN)/lint-imports

e2e: .venv/dev.stamp services ## only the tests that drive a real browser
	$(RUN) pytest -m e2e

bench: .venv/dev.stamp services ## benchmarks; prints ratios to a floor measured in the same run
	$(RUN) tests.bench

kills: .venv/dev.stamp services ## kill real processes in mid-work, then compare books, Stripe and inbox: make kills KILLS=50 PAYMENTS=1000
	$(RUN) tests.kills --kills $(or $(KILLS),50) --payments $(or $(PAYMENTS),1000)

simulate: .venv/dev.stamp ## play SEEDS seeds (FROM=1) of everything that can go wrong; RECORD=file lets it be taken up again
	PYTHONHASHSEED=0 $(RUN) tests.simulation --seeds $(SEEDS) --from $(FROM) $(if $(RECORD),--record $(RECORD))

crash-points: .venv/dev.stamp ## die at every step between an intent and its result, in every kind of books
	for books in quickbooks xero mock; do PYTHONHASHSEED=0 $(RUN) tests.simulation --crash $$books || exit 1; done

setup: .venv/run.stamp ## create .venv with what running needs
dev: .venv/dev.stamp ## create .venv with what developing needs

migrate: .venv/run.stamp ## bring the database of DATABASE_URL to the newest shape
	$(RUN) web.cli migrate

migration: .venv/dev.stamp ## write a migration from the models: make migration m="add payouts"
	$(RUN) tests.new_migration "$(m)"

services:
	@sh tests/provide.sh

lock: ## pin every dependency anew (needs uv on PATH)
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -o requirements.txt
	uv pip compile pyproject.toml --extra build --extra dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate -q -o requirements-dev.txt

clean: ## remove the virtual environment and every cache
	rm -rf .venv build var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Tieout needs Python 3.11 or newer. Name one with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "Python could not make a virtual environment. On Debian: apt-get install python3-venv"; exit 1; }

.venv/run.stamp: .venv/bin/python requirements.txt pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: .venv/run.stamp requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
