# Two commands on a fresh machine: `make demo` and `make test`. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo

.PHONY: install demo test test-all lint clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/dreaming clip=$(DEMO) experiments=demo

test: install
	$(BIN)/python -m pytest -m 'not slow' --numprocesses auto

test-all: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv $(DEMO)
