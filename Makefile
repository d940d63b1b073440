# The two commands: `make demo` and `make test`. Everything else is for developers.
SHELL := /bin/bash
# A Python that other accounts can run too; the newest of Debian's and the path's that is at least 3.11.
PYTHON ?= $(shell for p in /usr/bin/python3 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH):/usr/sbin:/sbin:$(lastword $(wildcard /usr/lib/postgresql/*/bin))
FRONTEND := jupyter_guardrails/labextension/package.json
SOURCES := $(shell find labextension/src labextension/style labextension/schema -type f -not -path '*/__tests__/*') package.json tsconfig.json
DEMO := .demo
# a package index that stumbles once fails nothing
export UV_HTTP_RETRIES ?= 10
export PIP_RETRIES ?= 10

.PHONY: demo test test-fast test-python test-browser test-frontend test-unprivileged soak lint format docs bench screenshots clean setup apt

setup: $(VENV)/.installed $(FRONTEND) ## the virtual environment and the front end

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 with venv: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv

$(VENV)/.installed: $(BIN)/uv pyproject.toml package.json
	.ci/install-editable $(BIN)
	@touch $@

# installing again writes this file too, through the link of `develop`: then it looks newer than what it was built from
$(FRONTEND): $(SOURCES) yarn.lock $(VENV)/.installed
	jlpm install --immutable
	jlpm build:prod
	jupyter-builder develop . --overwrite

demo: setup ## a governed JupyterLab with real data; CHECK=1 runs the whole main job without a browser
	$(BIN)/jupyter-guardrails demo --dir $(DEMO) $(if $(CHECK),--check) $(if $(PERSON),--as $(PERSON)) $(if $(PORT),--port $(PORT))

apt: ## what tests use beside Python and node, where we may install it
	.ci/install-apt

test: apt setup lint test-frontend test-python test-browser test-unprivileged ## everything

# what test-unprivileged does in any case
TWICE := --deselect tests/sandbox/test_sandbox_accounts.py::test_all_of_it_as_an_ordinary_account

# one more than two processors: many tests mostly wait, for an idle time, a beat or the end of a process
WORKERS ?= $(shell echo $$(( $$(nproc) < 4 ? 3 : 4 )))

# what tests/browser holds is test-browser's
test-python:
	$(BIN)/python -m pytest -p no:cacheprovider -q -n $(WORKERS) --dist loadfile --ignore tests/browser --durations 15 --junitxml=junit-python.xml $(TWICE) $(ARGS)
	$(BIN)/python .ci/check_skips.py junit-python.xml

test-browser: ## a real Chromium, a real governed Lab
	$(BIN)/python -m pytest -p no:cacheprovider -q -n 3 --dist worksteal --junitxml=junit-browser.xml tests/browser $(ARGS)
	$(BIN)/python .ci/check_skips.py junit-browser.xml

test-unprivileged: ## what root hides: the same security tests as an ordinary account
	WORKERS=$(WORKERS) .ci/test-unprivileged $(BIN)/python

test-frontend: setup
	jlpm test
	jlpm lint:check
	$(BIN)/python .ci/check_frontend.py

test-fast: setup ## the inner loop, below two minutes
	$(BIN)/python -m pytest -p no:cacheprovider -q -n 2 --dist loadfile -m "not slow and not browser and not soak" -x $(ARGS)

soak: export GUARDRAILS_SOAK := 1
soak: apt setup ## long counts in full
	$(BIN)/python -m pytest -p no:cacheprovider -q -n 2 --dist loadfile -m soak --durations 0 --timeout 7200

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	jlpm lint

docs: setup ## every key, option and command in docs/ exists, every one that exists is in docs/
	$(BIN)/python -m pytest -p no:cacheprovider -q tests/test_docs.py

bench: setup
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

screenshots: setup ## every state of the panel, of Use and Policy and of the Review tab, one sheet with all (shots/contact.html), and the ways to data and into production step by step, into shots/; docs/reference/off-ramp/
	$(BIN)/python tests/browser/screenshots.py shots --docs
	GUARDRAILS_SHOTS=1 $(BIN)/python -m pytest -p no:cacheprovider -q tests/browser/test_browser_onramp.py
	GUARDRAILS_SHOTS=1 GUARDRAILS_SOAK=1 $(BIN)/python -m pytest -p no:cacheprovider -q -n 0 --timeout 3600 tests/browser/test_browser_offramp.py -k three_engines

clean:
	rm -rf $(VENV) $(DEMO) .bench node_modules labextension/lib jupyter_guardrails/labextension shots dist junit*.xml
