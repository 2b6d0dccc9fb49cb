PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# TensorFlow Addons has no release for a newer Python.
ADDONS_PYTHON ?= python3.11
ADDONS_VENV := .venv-addons

.PHONY: help setup demo test test-addons lint format notebooks lock bench bench-long soak clean

help:
	@echo "make demo    translate photographs, train on built-in images, show both"
	@echo "make test    lint and the whole test suite"
	@echo "make test-addons  compare with the real TensorFlow Addons, in an environment of its own"
	@echo "make bench   measure, and append to benchmarks/RESULTS.md"
	@echo "make bench-long  measure what takes longer: XLA, --remat, the demo's scores"
	@echo "make soak    stop, crowd, feed and tire the commands, for two hours or more"
	@echo "make notebooks  run the notebooks, and store them with their pictures"
	@echo "make lint    ruff, mypy and the layers contract"
	@echo "make format  let ruff format the code"
	@echo "make lock    write down the versions and hashes that CI installs"
	@echo "make clean   remove the virtual environments and the demo run"

setup: $(VENV)/installed

# The package alone takes 2.6 GB, with the tools of development 4.6 GB.
$(VENV)/package: requirements.txt pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed: $(VENV)/package
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/package
	rm -rf runs/demo runs/demo-photographs
	$(BIN)/cyclegan demo --run-dir runs/demo

test: lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-addons: setup
	$(ADDONS_PYTHON) -m venv $(ADDONS_VENV)
	$(ADDONS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		tensorflow-cpu==2.15.1 tensorflow-addons==0.23.0
	rm -rf build/addons
	$(ADDONS_VENV)/bin/python tests/addons/build_models.py build/addons
	ADDONS_MODELS=build/addons $(BIN)/python -m pytest tests/addons/compare_models.py

bench: setup
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/operations.py
	$(BIN)/python benchmarks/first_step.py
	$(BIN)/python benchmarks/input_pipeline.py
	$(BIN)/python benchmarks/translation.py
	$(BIN)/python benchmarks/import_checkpoint.py
	$(BIN)/python benchmarks/large_images.py tiny

# The earlier version is the first one.
bench-long: setup
	$(BIN)/python benchmarks/versions.py 5d7c7b1
	$(BIN)/python benchmarks/training_step.py options
	$(BIN)/python benchmarks/methods.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/averages.py
	$(BIN)/python benchmarks/demo_scores.py
	$(BIN)/python benchmarks/large_images.py resnet9

soak: setup
	$(BIN)/python tests/crash_matrix.py
	$(BIN)/python tests/crash_matrix.py --two 20
	$(BIN)/python tests/clients.py
	$(BIN)/python tests/endurance.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris
	$(BIN)/python tests/fuzzing.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# PyTorch is not in it: the build for processors that the tests use lies elsewhere, and
# its version is in pyproject.toml. UV_TORCH_BACKEND=cpu leaves out its CUDA libraries.
# uv does not see that newer releases of backports.strenum are for older Pythons.
lock:
	echo 'backports.strenum<1.3' | uv pip compile pyproject.toml --extra dev --quiet \
		--constraint - --generate-hashes --no-annotate --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 --no-emit-package torch \
		--custom-compile-command "make lock" --output-file .ci/requirements.lock

notebooks: setup
	$(BIN)/python notebooks/store.py

clean:
	rm -rf $(VENV) $(ADDONS_VENV) runs/demo runs/demo-photographs
