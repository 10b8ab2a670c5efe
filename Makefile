# Two commands on a fresh machine: `make demo` and `make test`. Everything is installed into .venv, nothing elsewhere.
#
#   make demo PYTHON=python3.12                  another interpreter, for a new .venv
#   make test PYTEST_ARGS="-m 'not slow'"        part of the tests
#   make test WORKERS=0                          the tests one after another; else two files at a time
#   make notebooks BUDGET=short                  minutes instead of hours

PYTHON ?= python3
PYTEST_ARGS ?=
WORKERS ?= 2
BUDGET ?= full
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
OLD_PYTHON := cnnlab needs Python 3.11 or later; choose one: make PYTHON=python3.12 ...

.DEFAULT_GOAL := help
.PHONY: help demo test lint mutations bench notebooks clean

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## install, train a small comparison on embedded data, say where the result is
	$(BIN)/cnnlab demo

test: lint  ## lint, check types and the import contract, run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev  ## ruff, import contract, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

mutations: $(VENV)/.installed-dev  ## put faults into a copy of the tree, see that the tests notice them, minutes
	$(BIN)/python -m tests.mutations

bench: $(VENV)/.installed-dev  ## speed side by side with plain PyTorch, minutes; needs an idle machine
	$(BIN)/python -m bench.train_speed

notebooks: $(VENV)/.installed-dev  ## the courses' notebooks, made of their sources and executed on CIFAR-10
	$(BIN)/python -m notebooks.build --budget $(BUDGET)

clean:  ## remove .venv and every cache
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and pinned: what comes after must find it satisfied and not choose another build.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo '$(OLD_PYTHON)' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -c constraints.txt -e '.[dev]'
	touch $@
