# Kiban. `make demo` shows it, `make test` proves it.
.DEFAULT_GOAL := help
.PHONY: help setup setup-tests demo up down status clean test lint bench bench-adapt bench-peers bench-chat attacks

# The first Python that is new enough and really runs; 3.11 first, for which torch's CPU build is pinned.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1)' 2>/dev/null && { echo $$p; break; }; done)
KIBAN := .venv/bin/kiban

help:  ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 16

setup:  ## install everything (nothing to do the second time)
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Mend: install one, or make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) infra/setup

setup-tests:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer found. Mend: install one, or make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) infra/setup --tests

demo: setup  ## documents become weights that answer: the whole loop
	@$(KIBAN) demo

up: setup  ## start the stack
	@$(KIBAN) up

down:  ## stop the stack
	@test ! -x $(KIBAN) || $(KIBAN) down

status: setup  ## what runs, where, how healthy
	@$(KIBAN) status

clean: down  ## remove what Kiban keeps (documents index, weights, logs), not the environments
	@test ! -x $(KIBAN) || $(KIBAN) down --remove-state

test: setup-tests  ## the tests
	@.venv/bin/python -m pytest

lint: setup-tests  ## format, style, types, the import contract
	@.venv/bin/ruff format --check . && .venv/bin/ruff check . && .venv/bin/mypy && .venv/bin/lint-imports

DATA ?= ../shared/data
bench: setup  ## quality of search, and what parsing, a second ingest, service and flows cost; DATA=DIR
	@$(KIBAN) bench quick $(if $(wildcard $(DATA)),--data $(DATA))

SETS ?= $(addprefix $(DATA)/,jsquad_valid libreoffice_help_ja/beir_index_ja \
	libreoffice_help_ja/beir_index_en2ja mtrag_un_govt_cloud)
bench-peers: setup  ## our search beside BM25, pgvector, Haystack, LlamaIndex and LangChain; SETS="DIR ..."
	@$(PYTHON) infra/setup --peers
	@$(KIBAN) bench peers $(SETS)
	@$(KIBAN) bench peers $(firstword $(SETS)) --grown 100000

# Three small corpora; SETS= takes its place from the command line. Minutes a set on a quiet machine of two cores.
bench-adapt: SETS = $(addprefix $(DATA)/,libreoffice_help_ja/beir_index_ja jsquad_valid mtrag_un_govt_cloud)
bench-adapt: ADAPT ?= --documents 400 --pairs 160 --ranked 300
bench-adapt: setup  ## what embedder (and, ADAPT="--reranker --llm", the rest) gain at home and lose elsewhere
	@$(KIBAN) bench adapt-sets $(ADAPT) $(SETS)

bench-chat: setup  ## our chat service under load, beside its model server and LiteLLM's proxy
	@$(PYTHON) infra/setup --gateways
	@$(KIBAN) bench chat

attacks: setup  ## the attacks on ourselves, with the figures they must reach
	@$(KIBAN) bench attacks
