# `make help` lists the targets. PYTHON=python3.12 chooses another interpreter.
PYTHON ?= python3
BIN := .venv/bin
DEMO ?= demo
REAL ?= $(notdir $(wildcard ../shared/data/davis/*))

.DEFAULT_GOAL := install
.PHONY: help install demo gallery test test-all lint format docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | column -t -s '|'

install: .venv/installed ## create .venv and install the package with its development tools

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## run all stages on the built-in clip: demo/dream.mp4 and demo/report.html
	$(BIN)/dreaming clip=$(DEMO) experiments=demo
	@echo 'next: open $(DEMO)/report.html in a browser, then stylise a video of yours: docs/tutorials/artists.md'

gallery: demo $(REAL:%=gallery/%.webp) ## draw docs/images/demo.*, and gallery/ of real clips in ../shared if there are any
	$(BIN)/python documentation/gallery.py $(DEMO) ensemble docs/images

gallery/%.webp: documentation/gallery.py documentation/real_clip.py | install
	test -d clips/gallery/$* || $(BIN)/python documentation/real_clip.py ../shared/make_clip.py $* clips/gallery/$*
	$(BIN)/dreaming clip=clips/gallery/$* masker=pixels generator.max_steps=300
	$(BIN)/python documentation/gallery.py clips/gallery/$* pixels gallery

test: install ## run the fast tests
	$(BIN)/python -m pytest -m 'not slow' --numprocesses auto

test-all: install ## run all tests
	$(BIN)/python -m pytest

lint: install ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install ## format the code and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/docs-installed: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

docs: .venv/docs-installed ## build the documentation: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## remove .venv, the demo and the built documentation
	rm -rf .venv $(DEMO) site gallery
