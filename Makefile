# Everything starts here: `make demo` and `make test` set up whatever they need by themselves.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := libs services deploy tests $(wildcard benchmarks proofs)

.PHONY: help setup demo test check lint format lock bench chaos chaos-night sabotage overload matrix wiped refilled mixed poison up down clean

help:  ## what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup:  ## .venv with pinned, hash-checked packages (instant when nothing changed)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "setup: Lendrail needs Python 3.11 or newer and '$(PYTHON)' is not; name one with PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) deploy/bootstrap.py

demo: setup  ## six applications, one up to its money, one at five partners at once, on real Kafka and MongoDB
	@$(BIN)/lendrail demo

up: setup  ## the whole stack in the background
	@$(BIN)/lendrail up --detach

down: setup  ## stop it
	@$(BIN)/lendrail down

test: setup  ## all tests, two files at a time; ARGS="tests/flow -x" runs what it names alone
	@$(BIN)/python -m pytest $(or $(ARGS),-n 2 --dist loadfile)

lint: setup  ## ruff, mypy --strict, import rules
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)
	@$(BIN)/python -m mypy $(SOURCES)
	@$(BIN)/lint-imports --no-cache

format: setup  ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix --quiet $(SOURCES) || true
	@$(BIN)/ruff format --quiet $(SOURCES)

check: lint test  ## what CI runs

bench: setup  ## applications per second against a bare loop
	@$(BIN)/python -m benchmarks $(ARGS)

chaos: setup  ## kills, freezes and cuts everything for three minutes, then counts what was lost (ARGS="--seconds 60 --seed 7")
	@$(BIN)/python -m proofs.chaos $(ARGS)

chaos-night: setup  ## the same for 10 000 applications until enough was killed; its report goes to docs/proofs/chaos.md
	@$(BIN)/python -m proofs.chaos --night $(ARGS)

sabotage: setup  ## switches each protection off in a copy: a proof must notice (ARGS="--only blind")
	@$(BIN)/python -m proofs.sabotage $(ARGS)

overload: setup  ## ten times what is carried for two minutes; its report goes to docs/proofs/overload.md
	@$(BIN)/python -m proofs.overload $(ARGS)

matrix: setup  ## every labelled point, struck by kill, error and hang: hours; writes docs/proofs/matrix.md
	@$(BIN)/python -m proofs.matrix run --write $(ARGS)

wiped: setup  ## Kafka's data is deleted in the middle of a run; writes docs/proofs/wiped.md
	@$(BIN)/python -m proofs.wiped $(ARGS)

refilled: setup  ## how long an empty Kafka takes to be filled from 10 000 stored applications; writes docs/proofs/refilled.md
	@$(BIN)/python -m proofs.refilled $(ARGS)

mixed: setup  ## services of two versions side by side (ARGS="--previous COMMIT"); writes docs/proofs/mixed.md
	@$(BIN)/python -m proofs.mixed $(ARGS)

poison: setup  ## 10 000 records that nobody can read onto every topic; writes docs/proofs/poison.md
	@$(BIN)/python -m proofs.poison $(ARGS)

lock: setup  ## renew requirements.lock from the members' pyproject.toml
	@$(BIN)/uv lock --quiet --python $(BIN)/python
	@$(BIN)/uv export --quiet --frozen --all-packages --no-emit-workspace --no-annotate --no-header \
	  --format requirements.txt --output-file requirements.lock >/dev/null
	@$(MAKE) --no-print-directory setup

clean:  ## remove the environment, local state and caches of this folder
	@if [ -x $(BIN)/lendrail ]; then $(BIN)/lendrail down >/dev/null 2>&1 || true; fi
	@rm -rf .venv .lendrail .mypy_cache .ruff_cache .pytest_cache .hypothesis uv.lock
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
