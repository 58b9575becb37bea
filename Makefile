# `make studio` starts everything; `make test` runs everything. See README.md.
VENV := .venv
PY := $(VENV)/bin/python
SHELL := /bin/bash
export HF_HUB_OFFLINE := 1
export TRANSFORMERS_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup studio test test-python test-studio check bench proofs clean web format openapi test-system

setup: .stamps/venv .stamps/web

.stamps/venv: pyproject.toml constraints.txt
	@mkdir -p .stamps
	@test -x $(PY) || python3 -m venv $(VENV)
	@echo "installing the pinned dependencies"
	@$(PY) -m pip install --quiet --constraint constraints.txt torch==2.13.0
	@$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[engine,server,dev]'
	@touch $@

WEB_SOURCES := $(shell find studio -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)

.stamps/npm: studio/package.json studio/package-lock.json
	@mkdir -p .stamps
	@cd studio && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

.stamps/web: .stamps/npm $(WEB_SOURCES)
	@cd studio && npm run --silent build
	@touch $@

web: .stamps/web

studio: setup
	@$(VENV)/bin/safelight serve --open

.stamps/system: scripts/system-packages.sh
	@mkdir -p .stamps
	@bash scripts/system-packages.sh
	@touch $@

test-system: .stamps/system

test: test-studio test-python

test-python: setup test-system
	@$(PY) -m pytest tests -m "not proof"

test-studio: setup
	@cd studio && npm test --silent


check: setup
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(PY) scripts/openapi.py --check
	@cd studio && npm run --silent check
	@$(PY) -m pytest tests/test_docs.py

format:
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

openapi: .stamps/venv
	@$(PY) scripts/openapi.py
	@$(PY) scripts/reference.py

bench: setup test-system
	@$(PY) -m bench

proofs: setup test-system
	@$(PY) -m pytest tests/privacy tests/faults --proofs docs/proofs.md

clean:
	rm -rf .venv .stamps studio/node_modules studio/dist src/safelight/server/static
