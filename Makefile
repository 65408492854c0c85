# Two commands do everything on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test test-long lint docs clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else "slmc needs Python 3.11, 3.12 or 3.13")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

demo: $(VENV)/.ready
	$(BIN)/slmc demo

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

test: lint
	$(BIN)/pytest -n 2 --dist worksteal --durations 15 -m "not long"

test-long: $(VENV)/.ready
	$(BIN)/pytest -n 2 --dist worksteal --durations 15

docs: $(VENV)/.ready
	$(BIN)/python -m slmc.docs

clean:
	rm -rf $(VENV)
