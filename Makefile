# Two commands a newcomer needs: make demo, make test. Everything they need is made on the way.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTEST_ARGS ?=

.PHONY: help system setup demo test check clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

system: ## the system packages alone (as root)
	@scripts/system-packages

setup: system ## everything up to a ready .venv, boot image and reference image
	@scripts/venv
	@.venv/bin/osdlab setup

demo: setup ## set up, then deploy a real virtual machine from PXE to a verdict
	@.venv/bin/osdlab run scenarios/bare-metal.yaml

test: setup ## set up, then the tests, two real virtual machines among them
	@.venv/bin/python -m pytest $(PYTEST_ARGS)

check: ## ruff and mypy alone
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy

clean: ## remove .venv and the runs' output (not the cache)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info && find reports -mindepth 1 -not -name README.md -delete
