# `make demo` and `make test` set up the environment first, which takes about a second if it exists.
PYTHON ?= python3
VENV ?= .venv
OPS ?= torch
BIN := $(VENV)/bin
# Let OpenMP threads sleep soon at barriers instead of spinning: next to other processes, spinning made
# a training step ten times slower; on an idle machine, sleeping at once costs a fifth.
export GOMP_SPINCOUNT ?= 50000

# Two processes with one thread each: tests are mostly Python, and slow ones are distributed.
TESTS := -n 2 --dist worksteal
test test-fast coverage: export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup doctor demo study soak lint test test-fast coverage docs clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18
	@echo "  PYTHON=python3.11 chooses the interpreter, VENV=folder the environment"

setup: ## create the environment from wheels; with OPS=compiled mmcv is compiled (about 10 minutes)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "mmsmt needs Python 3.10 or newer: try make setup PYTHON=python3.11")'
	@$(PYTHON) dev/environment/setup_env.py --venv $(VENV) --ops $(OPS)

doctor: ## find out what is wrong with the environment and how to fix it
	@$(PYTHON) dev/environment/doctor.py --python $(BIN)/python

demo: setup ## prepare data, train and evaluate all three tasks, show the results
	@$(BIN)/mmsmt demo

study: setup ## train every mixer on the images in DATA (the digits), and compare them on a page (hours)
	@$(BIN)/mmsmt study $(DATA)

soak: setup ## kill trainings of all tasks 200 times each, and compare the results (hours, resumable)
	@$(BIN)/python dev/kill_campaign.py

lint: setup ## check style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy mmsmt
	$(BIN)/lint-imports

test: setup lint ## run lint and all tests
	$(BIN)/python -m pytest $(TESTS)

test-fast: setup ## run the tests of the core, in under a minute
	$(BIN)/python -m pytest $(TESTS) -m fast

coverage: setup ## run all tests, and list the lines of mmsmt/ that they do not cover
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest $(TESTS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

docs: setup ## build the site into site/; a broken link or reference is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

clean: ## remove generated files, except compiled wheels in the user's cache
	rm -rf $(VENV) build dist site *.egg-info mmsmt/.mim .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
