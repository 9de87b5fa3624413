# One command each; every target sets up what it needs on a fresh machine with Python 3.11 or newer.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
READY := .venv/.ready

.PHONY: help
help:  ## what can be made
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 15

.PHONY: demo
demo: $(READY)  ## a real broker, real clients, every way to drop, and what kaproxy says of each
	@$(BIN)/kaproxy demo $(ARGS)

.PHONY: test
test: $(READY) peers  ## the whole test suite, with coverage floors; ARGS="-k name" runs some of it
	@.ci/test $(ARGS)

.PHONY: check
check: $(READY)  ## lint, format, types, import rules, generated pages, Dockerfile, shell scripts
	@.ci/check

.PHONY: bench
bench: $(READY) peers  ## docs/performance.md: the budgets, as ratios against HAProxy on this machine (a quarter of an hour)
	@.ci/bench-peers
	@$(BIN)/python -m benchmarks --write docs $(ARGS)

.PHONY: compiled
compiled: $(READY) peers  ## dist/: a wheel with the hot packages compiled (mypyc, a C compiler), tested
	@.ci/compiled --test -q $(ARGS)

.PHONY: lab
lab: $(READY) peers  ## every way to drop, with real brokers and clients: docs/accuracy.md; ARGS="--only text" plays some
	@tests/peers/install lab
	@$(BIN)/python -m tests.lab $(ARGS)

.PHONY: fleets
fleets: $(READY)  ## findings scored over made-up fleets: docs/analysis.md
	@$(BIN)/python -m tests.fleets --score --lines 40000 $(ARGS)

.PHONY: docs
docs: $(READY)  ## write the generated pages anew
	@$(BIN)/python -m kaproxy.docs

.PHONY: setup
setup: $(READY)  ## .venv with everything hash-pinned, and this tree installed into it

.PHONY: peers
peers: $(READY)  ## the brokers, clients and tools that tests want: Debian's packages, npm, Go
	@.ci/peers

.PHONY: lock
lock: $(READY)  ## pin the newest versions that pyproject.toml allows
	@.ci/lock

.PHONY: clean
clean:  ## remove everything that was made here
	rm -rf .venv .peers dist build .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find kaproxy tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml requirements.lock requirements-build.lock kaproxy/__init__.py .ci/setup
	@.ci/setup
	@touch $@
