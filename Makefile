# One file of commands. Plain pip and venv; uv is used when it is on the path.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV := $(shell command -v uv)
ifdef UV
  INSTALL := uv pip install -q --python $(BIN)/python
else
  INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check --progress-bar off
endif
export CARELOOM_CONFORMANCE ?= $(abspath ../shared/data)

.PHONY: setup demo serve test check lint types conformance bench goldens fmt facts clean

.venv/run: pyproject.toml constraints.txt
	@echo "Installing careloom into .venv (about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
ifndef UV
	@$(INSTALL) -U 'pip>=25.1'
endif
	@$(INSTALL) -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/run
	@echo "Installing the development tools ..."
	@$(INSTALL) -c constraints.txt --group dev
	@touch $@

setup: .venv/dev          ## install careloom and its development tools into .venv

demo: .venv/run           ## start careloom with a synthetic hospital and serve its pages
	@$(BIN)/careloom demo

serve: .venv/run          ## start an empty careloom
	@$(BIN)/careloom up

test: .venv/dev           ## the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not conformance"

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/deptry src

types: .venv/dev
	$(BIN)/basedpyright

check: lint types test    ## the gate: style, contracts, types, tests

conformance: .venv/dev    ## public suites, whole (CARELOOM_CONFORMANCE says where they lie)
	$(BIN)/python -m pytest -m conformance -rs

bench: .venv/dev          ## what is claimed to be fast, measured
	$(BIN)/python -m bench

goldens: .venv/dev        ## rewrite the golden files; the diff is the review
	CARELOOM_REWRITE_GOLDENS=1 $(BIN)/python -m pytest -q tests -k golden

fmt: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv
