# `make` lists the targets. Everything lives in .venv and data/; nothing is installed on the machine.
PYTHON ?= python3
BIN := .venv/bin
STUBS := $(patsubst %.proto,%_pb2.py,$(wildcard protos/*.proto))
CODE := mesh matching stills gateway fetcher_svc image_svc audio_svc video_svc index_svc tests benchmarks docs/samples

.DEFAULT_GOAL := help
.PHONY: help run key studio test test-long check lint types imports protos lock benchmark limits calibrate terms sizes clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: .venv/runtime $(STUBS) ## start the whole mesh on this machine
	@exec $(BIN)/python -m mesh

key: .venv/runtime $(STUBS) ## print an API key of the running mesh, alone on the last line
	@$(BIN)/python -m index_svc.admin key

studio: .venv/runtime $(STUBS) ## recommend a cutoff; FILE=scores.csv or pairs.csv, OPTIONS='--cost 10 --save NAME'
	@$(BIN)/python -m gateway.studio $(FILE) $(OPTIONS)

test: .venv/dev $(STUBS) ## set up and run the tests
	$(BIN)/python -m pytest -m 'not long' -n 2 --dist loadfile

test-long: .venv/dev $(STUBS) ## run the tests that take longer
	$(BIN)/python -m pytest -m long

check: lint types imports protos ## lint, types, import rules, contracts

lint: .venv/dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: .venv/dev $(STUBS)
	$(BIN)/mypy

imports: .venv/dev $(STUBS)
	$(BIN)/lint-imports

protos: .venv/dev $(STUBS) ## make the stubs and lint the contracts
	$(BIN)/buf lint

benchmark: .venv/dev $(STUBS) ## print what the speed claims are measured by
	$(BIN)/python -m benchmarks.pair
	$(BIN)/python -m benchmarks.image
	$(BIN)/python -m benchmarks.audio
	$(BIN)/python -m benchmarks.video

limits: .venv/dev $(STUBS) ## measure how far edits may go; MEDIA=folder: on what it holds, too; MEDIUM=audio or video: sounds, films
	$(BIN)/python -m benchmarks.limits $(if $(MEDIUM),--medium $(MEDIUM)) $(if $(MEDIA),--media $(MEDIA))

calibrate: .venv/dev $(STUBS) ## fit the curve from evidence to score on drawn images; MEDIA=folder: on its own; MEDIUM=audio or video: sounds, films
	$(BIN)/python -m benchmarks.calibrate $(if $(MEDIUM),--medium $(MEDIUM)) $(if $(MEDIA),--media $(MEDIA))

terms: .venv/dev $(STUBS) ## measure how early terms alone put the original of a copy; MEDIA=folder: of its images
	$(BIN)/python -m benchmarks.terms $(if $(MEDIA),--media $(MEDIA))

sizes: .venv/dev $(STUBS) ## measure accuracy against the size of a fingerprint; MEDIA=folder: on its images; MEDIUM=video: films
	$(BIN)/python -m benchmarks.sizes $(if $(MEDIUM),--medium $(MEDIUM)) $(if $(MEDIA),--media $(MEDIA))

lock: .venv/dev ## pin the dependencies anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev -c requirements.lock --universal --generate-hashes --no-emit-index-url --no-header -o requirements-dev.lock

clean: ## remove what the targets made, but for data/
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis protos/*_pb2*

.venv/runtime: requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

.venv/dev: requirements-dev.lock .venv/runtime
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

%_pb2.py: %.proto .venv/runtime
	$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. $<
