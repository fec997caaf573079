# One environment (.venv) for every target. `make help` lists them.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OLDEST := 3.11

# A Python to make the environment with: `make PYTHON=/path/to/python ...` chooses another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.14 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)

.DEFAULT_GOAL := help
.PHONY: help install demo bench test test-all lint audit mutants clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@if [ -z "$(PYTHON)" ] || ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "mim4dd needs Python $(OLDEST) or newer; found: $$(python3 --version 2>&1 || echo none)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@echo "Making the environment $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
		echo "python -m venv failed (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }

$(STAMP): pyproject.toml | $(BIN)/python
	@echo "Installing mim4dd with PyTorch into $(VENV); the first time takes a few minutes"
	@$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]'
	@touch $@

install: $(STAMP)  ## make the environment and install mim4dd into it

demo: $(STAMP)  ## the dashboard on the built-in digits, with the run going (without a terminal: plain lines)
	@$(BIN)/mim4dd run digits-ipc1

bench: $(STAMP)  ## the engine's speed beside a plain reference's (ARGS=--quick, --json, --device cuda)
	@$(BIN)/python -m benchmarks $(ARGS)

test: $(STAMP)  ## the fast tests
	@$(BIN)/python -m pytest $(ARGS)

test-all: $(STAMP)  ## all tests, the long ones too
	@$(BIN)/python -m pytest -m "long or not long" $(ARGS)

lint: $(STAMP)  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit: $(STAMP)  ## ask the package index for known vulnerabilities of what is installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	@$(BIN)/python -m pip_audit --skip-editable --progress-spinner off $(ARGS)

mutants: $(STAMP)  ## plant known faults one at a time; each must be caught by its test
	@$(BIN)/python -m tests.mutants $(ARGS)

clean:  ## remove the environment and everything built (runs stay)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
