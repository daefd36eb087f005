# Everything a newcomer or CI runs. Only python3 and make are needed beforehand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROJECT ?= data/sample
PORT ?= 3000

export MLFLOW_DISABLE_TELEMETRY := true
export BENTOML_DO_NOT_TRACK := True

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-spark check lint advisories bench bench-training bench-reasons bench-features bench-lists bench-nightly bench-service bench-stored bench-pages crash fuzz serve constraints clean

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $@

$(VENV)/bench-installed: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

# featuretools and getML want a pandas older than ours: an environment of their own. The benchmark says if it is empty.
$(VENV)/peers/installed: tests/bench/features/peers.txt | $(VENV)/installed
	$(PYTHON) -m venv $(VENV)/peers
	-$(VENV)/peers/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Half a gigabyte: only who works on the cluster's side wants it.
$(VENV)/spark-installed: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[spark]'
	@touch $@

demo: $(VENV)/installed  ## train on data/sample, score its open leads, print the best with reasons
	$(BIN)/leadscore demo $(PROJECT)

# One thread for each process: those of LightGBM would wait for each other.
test: $(VENV)/installed  ## run the tests, file by file on all cores
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile -m "not slow"

test-slow: $(VENV)/installed  ## run the tests that take long and find little that others don't
	$(BIN)/pytest -m slow

test-spark: $(VENV)/spark-installed  ## run the tests that want Spark, and Java 17
	$(BIN)/pytest tests/batch/test_spark*.py tests/tracking/test_spark_udf.py

check: lint advisories  ## lint, format, types, and known vulnerabilities

lint: $(VENV)/installed  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

advisories: $(VENV)/installed  ## look the pinned packages up among known vulnerabilities
	$(BIN)/python .ci/advisories.py constraints.txt

bench: $(VENV)/installed  ## speed, as ratios against peers in the same run (slow)
	$(BIN)/python -m tests.bench

bench-training: $(VENV)/installed  ## what training costs beside its bare parts (slow)
	$(BIN)/python -m tests.bench.training

bench-reasons: $(VENV)/bench-installed  ## what reasons cost, against LightGBM, shap and woodelf (slow)
	$(BIN)/python -m tests.bench.reasons

bench-features: $(VENV)/bench-installed $(VENV)/peers/installed  ## columns, time and memory against four peers up to 10 million events (slow)
	$(BIN)/python -m tests.bench.features --peers-python $(VENV)/peers/bin/python --out build/bench-features $(ARGS)

bench-lists: $(VENV)/installed  ## a million leads out of memory, beside bare LightGBM and pandas; ARGS=--ten for ten (slow)
	$(BIN)/python -m tests.bench.lists $(ARGS)

bench-nightly: $(VENV)/installed  ## a list read anew beside a night with --keep and a new file a table (slow)
	$(BIN)/python -m tests.bench.nightly

bench-service: $(VENV)/installed  ## requests/s and latency beside BentoML, FastAPI and mlflow; ARGS=--overload (slow)
	$(BIN)/python -m tests.bench.service $(ARGS)

bench-stored: $(VENV)/installed  ## the same for 100,000 stored leads, on SQLite and PostgreSQL (slow)
	$(BIN)/python -m tests.bench.stored $(ARGS)

bench-pages: $(VENV)/installed  ## how soon the call list of 100,000 leads is seen in a browser (slow)
	$(BIN)/python -m tests.bench.pages $(ARGS)

crash: $(VENV)/installed  ## kill the server 100 times while rows arrive, and a list 20 times; look for what was lost (slow)
	$(BIN)/python -m tests.bench.crash $(ARGS)
	$(BIN)/python -m tests.bench.killed

fuzz: $(VENV)/installed  ## send a running service what nobody would (slow)
	$(BIN)/python -m tests.fuzz $(ARGS)

serve: $(VENV)/installed  ## start the service with the champion of PROJECT on PORT
	$(BIN)/leadscore serve $(PROJECT) --port $(PORT)

constraints: $(VENV)/bench-installed $(VENV)/spark-installed  ## pin what is installed now
	{ head -1 constraints.txt; $(BIN)/pip freeze --exclude-editable | grep -iv '^leadscore'; } > constraints.new
	mv constraints.new constraints.txt
	LEADSCORE_WRITE_REQUIREMENTS=1 $(BIN)/pytest tests/service/test_packaging.py -k requirements

clean:  ## remove the environment and every cache
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
