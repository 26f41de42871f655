# The only commands to learn; CI runs the same ones.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
ARGS ?=
# As many processes as CI has processors. By files, and in the order that tests/conftest.py says.
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup tools demo fix check test test-slow faults cov docs bench bench-db bench-cache bench-queue lock clean

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/.ready .venv/.docs-ui ## the environment in .venv, from requirements.lock

.venv/.ready: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# The files of Swagger UI, for the reference page: out of their npm package, if its hash is right.
.venv/.docs-ui: .venv/.ready packages/docs-ui/pyproject.toml packages/docs-ui/fetch.py
	$(BIN)/python packages/docs-ui/fetch.py
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --reinstall packages/docs-ui
	@touch $@

tools: ## what some tests use that is no Python package: Chromium, PgBouncer, libfaketime, on Debian and its like
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; }
	@test -x /usr/sbin/pgbouncer || command -v pgbouncer >/dev/null || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq pgbouncer >/dev/null; }
	@ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1 || { \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libfaketime >/dev/null; }

demo: setup ## runs the demonstration application on http://127.0.0.1:8000
	@$(BIN)/oxidite dev examples/blog/app.py $(ARGS) || test $$? -eq 130  # Ctrl-C is how it ends

fix: setup ## ruff format, ruff check --fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup ## everything that does not run the code: ruff, mypy, pyright, import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	@# By PATH: --verifytypes reads no configuration. Below 100 % it fails, and then it says where.
	@found=$$(PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --verifytypes oxidite --ignoreexternal) \
	  && echo "$$found" | grep 'completeness score' || { echo "$$found"; exit 1; }
	$(BIN)/lint-imports
	$(BIN)/interrogate --quiet src/oxidite

test: setup ## pytest, everything
	$(BIN)/pytest $(BESIDE) $(ARGS)

test-slow: setup ## the long form of the slow tests
	$(BIN)/pytest -m slow $(ARGS)

# A page is made of what all of them have counted, whether or not they passed; with ARGS it is left alone.
faults: setup ## the long form of the tests of faults, and docs/faults-queue.md of what they count
	@rm -f .faults.jsonl
	@OXIDITE_FAULT_ROUNDS=20 OXIDITE_FAULT_LEASE=3 OXIDITE_FAULT_RECORDS=$(CURDIR)/.faults.jsonl \
	  $(BIN)/pytest tests/faults $(ARGS); found=$$?; \
	test -n "$(ARGS)" || OXIDITE_FAULT_LEASE=3 $(BIN)/python -m tests.faults.queue.report .faults.jsonl docs/faults-queue.md; \
	exit $$found

cov: setup ## tests with branch coverage and its floor
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(BESIDE) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

docs: setup ## the documentation, warnings are errors
	$(BIN)/sphinx-build -W -n -b html docs docs/_build/html

bench: setup ## benchmarks, side by side with peers
	$(BIN)/python -m benchmarks $(ARGS)

bench-db: setup ## the database beside other ORMs, on SQLite and PostgreSQL
	$(BIN)/python -m benchmarks.database $(ARGS)

bench-cache: setup ## the cache beside others, in memory; how often its map hits
	$(BIN)/python -m benchmarks.cache $(ARGS)

bench-queue: setup ## jobs beside other queues, on Redis, PostgreSQL and SQLite
	$(BIN)/python -m benchmarks.queue $(ARGS)

lock: ## requirements.lock anew: every version with its hashes, no addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --all-extras --group dev pyproject.toml -o requirements.lock

clean: ## what was built
	rm -rf .venv build dist docs/_build packages/docs-ui/src/oxidite_docs_ui/static .coverage* .*_cache
