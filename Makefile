# Every target works alone on a fresh clone: the first one that needs the environment .venv makes it.
# `make help` lists them. Works with GNU make 3.81 (macOS) and newer.

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV := .venv
# Python to make .venv with. Unless given (make demo PYTHON=/opt/python3.13/bin/python3): the first that fits.
PYTHON ?=
# More arguments for pytest: make test ARGS="-k recipe -x"
ARGS ?=
# How long make fuzz takes.
SECONDS ?= 600

# --no-build-isolation: the build backend too comes from constraints.txt, not newest from the registry.
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install -qq --only-binary=:all: --constraint constraints.txt

.PHONY: help demo test fuzz course site bench lint fmt docs constraints clean

help: ## Show this list.
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: $(VENV)/.core ## Train on the embedded digits and show what came out (runs/demo).
	@$(VENV)/bin/glyphnet train digits --out runs/demo --overwrite

# Four workers, each with the tests of whole files: two cores are then busy also while tests wait for what they
# started. One thread of computing each, for more would only wait for another. Python may keep bytecode even where the
# environment forbids it: otherwise each worker, and each of the hundreds of processes that tests start, compiles again.
test: $(VENV)/.test ## Run the whole test suite; ARGS are pytest's.
	@PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

fuzz: $(VENV)/.test ## Read damaged files for SECONDS (600): no reader may fail in another way than by a typed error.
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m tests.fuzz $(SECONDS)

course: $(VENV)/.course ## Run every lesson of the course, and the solution of every exercise (docs/course); some minutes.
	@OMP_NUM_THREADS=1 $(VENV)/bin/python docs/course/run.py $(ARGS)

site: $(VENV)/.site ## Build the documentation as a site that works offline, build/site: runs the lessons and the labs, so it takes minutes.
	@OMP_NUM_THREADS=1 $(VENV)/bin/python docs/course/run.py
	@OMP_NUM_THREADS=1 $(VENV)/bin/python docs/site/build.py

bench: $(VENV)/.bench ## Measure what benchmarks/RESULTS.md states: every script in benchmarks/; takes hours.
	@for script in benchmarks/[a-z]*.py; do \
	  echo "== $$script"; $(VENV)/bin/python "$$script" || exit 1; \
	done

# Checks and formats the JavaScript of the pages: deno.json says which files and how. What it keeps, it keeps here.
DENO := DENO_DIR=$(VENV)/deno DENO_NO_UPDATE_CHECK=1 $(VENV)/bin/deno

lint: $(VENV)/.dev ## Check style (ruff, deno), types (mypy and deno, both strict) and the floors (import-linter).
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy --strict src
	@$(VENV)/bin/lint-imports
	@$(DENO) fmt --check --quiet
	@$(DENO) lint --quiet
	@$(DENO) check --quiet src tests

fmt: $(VENV)/.dev ## Format the code, and mend what ruff and deno can mend by itself.
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .
	@$(DENO) fmt --quiet
	@$(DENO) lint --fix --quiet

docs: $(VENV)/.core ## Write again the pages that come out of the code: docs/cli.md, docs/settings.md, the notebooks.
	@$(VENV)/bin/python docs/generate.py

constraints: $(VENV)/.dev ## Pin the newest versions of everything anew, torch excepted: constraints.txt.
	@$(PIP) install -qq uv
	@printf '%s\n' torch==2.13.0 hatchling editables | $(VENV)/bin/uv pip compile --quiet --upgrade --universal \
	  --python-version 3.11 --all-extras --no-annotate --custom-compile-command "make constraints" \
	  --output-file constraints.txt pyproject.toml -

clean: ## Remove .venv and everything else that the targets here have made, but for your own runs.
	@rm -rf $(VENV) runs/demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The environment, in three sizes, and one each for the course, the site and the benchmarks. A stamp is older than pyproject.toml or constraints.txt after a change there,
# and its size is then installed again; otherwise nothing is done. A larger size holds the smaller ones.

$(VENV)/.test: EXTRAS := [test]
$(VENV)/.course: EXTRAS := [course]
$(VENV)/.site: EXTRAS := [site]
$(VENV)/.dev: EXTRAS := [dev]
$(VENV)/.bench: EXTRAS := [bench]
$(VENV)/.core: STAMPS := $(VENV)/.core
$(VENV)/.test: STAMPS := $(VENV)/.core $(VENV)/.test
$(VENV)/.course: STAMPS := $(VENV)/.core $(VENV)/.course
$(VENV)/.site: STAMPS := $(VENV)/.core $(VENV)/.course $(VENV)/.site
$(VENV)/.dev: STAMPS := $(VENV)/.core $(VENV)/.test $(VENV)/.dev
$(VENV)/.bench: STAMPS := $(VENV)/.core $(VENV)/.test $(VENV)/.bench

$(VENV)/.core $(VENV)/.test $(VENV)/.course $(VENV)/.site $(VENV)/.dev $(VENV)/.bench: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing glyphnet$(EXTRAS) into $(VENV); PyTorch is large, so the first time takes some minutes." >&2
	@$(INSTALL) hatchling editables
	@$(INSTALL) --no-build-isolation --editable ".$(EXTRAS)"
	@touch $(STAMPS)

$(VENV)/.python:
	@sh scripts/make-venv "$(VENV)" "$(PYTHON)"
	@touch $@
