# Every target works alone on a fresh clone: the first one that needs the environment .venv makes it.
# `make help` lists them. Works with GNU make 3.81 (macOS) and newer. What a target does is said in scripts/dev.py, which
# also runs without make: `python scripts/dev.py test` (Windows).

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
# Python to make .venv with. Unless given (make demo PYTHON=/opt/python3.13/bin/python3): the first that fits.
PYTHON ?=
# More arguments for pytest: make test ARGS="-k recipe -x"
ARGS ?=
# How long make fuzz takes.
SECONDS ?= 600

DEV := $(VENV)/bin/python scripts/dev.py --venv "$(VENV)"

.PHONY: help demo test fuzz course site bench lint fmt docs dist trial sbom images constraints clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(VENV)/.python ## Train on the embedded digits and show what came out (runs/demo).
	@$(DEV) demo

test: $(VENV)/.python ## Run the whole test suite; ARGS are pytest's.
	@$(DEV) test $(ARGS)

fuzz: $(VENV)/.python ## Read damaged files for SECONDS (600): no reader may fail in another way than by a typed error.
	@$(DEV) fuzz $(SECONDS)

course: $(VENV)/.python ## Run every lesson of the course, and the solution of every exercise (docs/course); some minutes.
	@$(DEV) course $(ARGS)

site: $(VENV)/.python ## Build the documentation as a site that works offline, build/site: runs the lessons and the labs, so it takes minutes.
	@$(DEV) site

bench: $(VENV)/.python ## Measure what benchmarks/RESULTS.md states: every script in benchmarks/; takes hours.
	@$(DEV) bench

lint: $(VENV)/.python ## Check style (ruff, deno), types (mypy and deno, both strict) and the floors (import-linter).
	@$(DEV) lint

fmt: $(VENV)/.python ## Format the code, and mend what ruff and deno can mend by itself.
	@$(DEV) fmt

docs: $(VENV)/.python ## Write again the pages that come out of the code: docs/cli.md, docs/settings.md, the notebooks.
	@$(DEV) docs

dist: $(VENV)/.python ## Build the wheel and the sdist into dist, twice with the same bytes, and check them.
	@$(DEV) dist

trial: $(VENV)/.python ## Install the wheel into an empty environment, offline, and run README's examples from it; some minutes.
	@$(DEV) trial

sbom: $(VENV)/.python ## As trial; then list the parts of that installation, with versions and licences: dist/sbom.cdx.json.
	@$(DEV) sbom

images: $(VENV)/.python ## Build both images with Docker, serve a model with each, and print their sizes.
	@$(DEV) images

constraints: $(VENV)/.python ## Pin the newest versions of everything anew, torch excepted: constraints.txt.
	@$(DEV) constraints $(ARGS)

clean: $(VENV)/.python ## Remove .venv and everything else that the targets here have made, but for your own runs.
	@$(DEV) clean

# Made by a script of the shell, which tells a newcomer without a fitting Python what to install.
$(VENV)/.python:
	@sh scripts/make-venv "$(VENV)" "$(PYTHON)"
	@touch $@
