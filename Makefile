# make demo    a film from a sentence, on a machine that has only Python 3.11 to 3.13
# make test    every test, slow ones too
# make check   lint, format, types, and which module may import which
#
# PY=python3.12        another interpreter
# TORCH_INDEX=URL      where torch is to come from, such as https://download.pytorch.org/whl/cpu for the small CPU build
# JOBS=4               test processes, each with one thread
# ARGS="-k film"       further arguments for pytest

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: demo test check clean

GOOD_PYTHON := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PY ?= $(shell for py in python3 python3.11 python3.12 python3.13; do \
	$$py -c '$(GOOD_PYTHON)' 2>/dev/null && echo $$py && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
TORCH_INDEX ?=
JOBS ?= 2
ARGS ?=

PROMPT ?= a red ball drops and a blue box stands on the table

demo: $(VENV)/.base
	mkdir -p demo
	$(BIN)/orrery generate "$(PROMPT)" --out demo/film.mp4 --seconds 5 --seed 0 --sheet --force

# One thread a process: two processes with two threads each get in one another's way on two cores.
test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo

$(VENV)/.made:
	@[[ -n "$(PY)" ]] && "$(PY)" -c '$(GOOD_PYTHON)' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed; install one, or name it: make PY=/path/to/python3.11" >&2; exit 1; }
	@"$(PY)" -m venv $(VENV) || \
		{ echo "$(PY) cannot make a virtual environment; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	touch $@

# On Linux torch is pinned and comes first: this version has a CPU build where the index offers one, while the
# newest brings gigabytes of CUDA libraries.
$(VENV)/.torch: $(VENV)/.made
	[[ "$$(uname -s)" != Linux ]] || $(PIP) torch==2.13.0 $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	touch $@

$(VENV)/.base: pyproject.toml $(VENV)/.torch
	$(PIP) -e .
	touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.torch
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.base
