PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help setup demo test lint format clean

help:
	@echo "make demo    train on built-in images, translate, score (a few minutes)"
	@echo "make test    lint and the whole test suite"
	@echo "make lint    ruff, mypy and the layers contract"
	@echo "make format  let ruff format the code"
	@echo "make clean   remove the virtual environment and the demo run"

setup: $(VENV)/installed

$(VENV)/installed: requirements.txt pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: setup
	rm -rf runs/demo
	$(BIN)/cyclegan demo --run-dir runs/demo

test: lint
	$(BIN)/python -m pytest --numprocesses auto

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs/demo
