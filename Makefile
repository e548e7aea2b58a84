# Every command of the house. `make help` explains them.

PYTHON ?= $(shell scripts/python.sh)
VENV   := .venv
BIN    := $(VENV)/bin
SERVE  ?= 1
PORT   ?= 3000
WORKERS ?= auto
CLIPS  := tests/data/googlework_short.mp4 tests/data/nasa_13013.mp4 tests/data/cockatoo_cc0.mp4

# dagster.yaml stands here; everything Dagster writes goes below .dagster/
export DAGSTER_HOME := $(CURDIR)
export DAGSTER_DISABLE_TELEMETRY := yes

.DEFAULT_GOAL := help
.PHONY: help demo services test dev serve lint format bench bench-stores bench-vision models locks system clean

help:  ## explain every command
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}'

demo: $(VENV)/demo.done models  ## three bundled clips through the whole pipeline, three searches, then the web UI (SERVE=0: stop after the searches)
	@scripts/demo.sh $(CLIPS)
	@if [ "$(SERVE)" != 0 ]; then $(BIN)/khung serve; else echo "Now: make serve, and open http://127.0.0.1:8000; or . .venv/bin/activate, and khung --help"; fi

services: $(VENV)/services.done models  ## the environment for the services profile: with the clients of PostgreSQL, S3, OpenSearch and Redis
	@echo "Now: . .venv/bin/activate, and docs/how-to/operate.md"

test: $(VENV)/test.done system models  ## everything: lint, import floors, unit, contract, fault, server and browser tests, in two processes where they fit (WORKERS=0: in one)
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST)

dev: $(VENV)/demo.done models  ## the Dagster UI and daemon on http://127.0.0.1:3000, sensors included (PORT=3001: there)
	@mkdir -p .dagster; exec 9>.dagster/dev.lock; \
	flock -n 9 || { echo "✗ make dev is at work in this folder already: two daemons would do everything twice." >&2; exit 1; }; \
	PYTHONWARNINGS='ignore:Function `dev_command` is superseded' $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(PORT) 9>&-

serve: $(VENV)/demo.done models  ## the search service and its web UI on http://127.0.0.1:8000
	$(BIN)/khung serve

lint: $(VENV)/test.done  ## ruff (style and errors) and import-linter (the floors of the house)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

format: $(VENV)/test.done  ## let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/test.done system models  ## every benchmark, each against a reference in the same run; results in bench/out
	$(BIN)/python -m bench

bench-stores: $(VENV)/test.done system  ## only the stores: sealing, a million vectors, a million captions, the servers (about a quarter of an hour)
	$(BIN)/python -m bench stores

bench-vision: $(VENV)/test.done models  ## the models: embedded ones on the CPU, GME and a describer of the true shapes where a GPU is (else "not measured")
	$(BIN)/python -m bench vision vision_models vision_page

models: $(VENV)/demo.done  ## fetch the pinned model files (hash-checked, resumable)
	@$(BIN)/khung models pull

locks: $(VENV)/test.done  ## remake requirements/*.lock from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra pipeline --universal --python-version 3.11 --generate-hashes -q -o requirements/demo.lock
	$(BIN)/uv pip compile pyproject.toml --extra pipeline --extra services --universal --python-version 3.11 --generate-hashes -q -o requirements/services.lock
	$(BIN)/uv pip compile pyproject.toml --extra pipeline --extra services --extra test --extra vlm --universal --python-version 3.11 --generate-hashes -q -o requirements/test.lock

system: $(VENV)/test.done  # what no Python package carries: a browser, ffprobe, a Java runtime (apt, when it may)
	@scripts/system.sh

clean:  ## remove what the pipeline made (.khung, .dagster); the environment stays
	rm -rf .khung .dagster

$(BIN)/uv:
	@scripts/venv.sh $(PYTHON) $(VENV)

$(VENV)/demo.done: $(BIN)/uv requirements/demo.lock pyproject.toml
	@test -f $(VENV)/test.done || { echo "Installing the packages (480 MB the first time) …"; $(BIN)/uv pip install -q --require-hashes -r requirements/demo.lock; }
	@$(BIN)/uv pip install -q --no-deps -e .
	@touch $@

$(VENV)/services.done: $(BIN)/uv requirements/services.lock pyproject.toml
	@test -f $(VENV)/test.done || $(BIN)/uv pip install -q --require-hashes -r requirements/services.lock
	@$(BIN)/uv pip install -q --no-deps -e .
	@touch $@ $(VENV)/demo.done

$(VENV)/test.done: $(BIN)/uv requirements/test.lock pyproject.toml
	@$(BIN)/uv pip install -q --require-hashes -r requirements/test.lock
	@scripts/torch.sh $(BIN)
	@$(BIN)/uv pip install -q --no-deps -e .
	@touch $@ $(VENV)/demo.done
