"""The public surface of the package."""

import ast
import inspect
import pathlib
import subprocess
import sys
import typing

import pytest

import cyclegan_tf
from cyclegan_tf.models import choices, losses
from cyclegan_tf.training.watchdog import GUESSING_LOSSES

PUBLIC = [name for name in cyclegan_tf.__all__ if not name.startswith("_")]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_resolves_and_is_documented(name):
    assert inspect.getdoc(getattr(cyclegan_tf, name))


def test_the_names_are_those_of_the_stub():
    stub = pathlib.Path(cyclegan_tf.__file__).with_suffix(".pyi").read_text()
    names = [
        alias.asname
        for node in ast.parse(stub).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(names) == sorted(PUBLIC)


def test_importing_the_package_does_not_import_tensorflow():
    script = "import sys, cyclegan_tf; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_importing_the_class_registers_it_with_keras():
    script = """
import keras
from cyclegan_tf import CycleGAN
assert keras.saving.get_registered_object("cyclegan_tf>CycleGAN") is CycleGAN
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_loss_names_of_the_options_are_those_there_are():
    assert typing.get_args(choices.AdversarialLossName) == tuple(
        losses.ADVERSARIAL_LOSSES
    )


def test_the_watchdog_knows_all_losses():
    assert GUESSING_LOSSES.keys() == losses.ADVERSARIAL_LOSSES.keys()


def test_python_m_is_the_command():
    result = subprocess.run(
        [sys.executable, "-m", "cyclegan_tf", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert cyclegan_tf.__version__ in result.stdout
