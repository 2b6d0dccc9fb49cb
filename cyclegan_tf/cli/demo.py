"""The built-in demo: train on the demo domains, translate, and score the result."""

import dataclasses
import pathlib
from typing import Literal

import numpy as np

from cyclegan_tf.config.options import (
    DatasetConfig,
    NetworkConfig,
    OptimizationConfig,
    TrainConfig,
)
from cyclegan_tf.data.demo import demo_images
from cyclegan_tf.images import Image, read_image, write_contact_sheet, write_image
from cyclegan_tf.training.train import train
from cyclegan_tf.translation.options import TranslateConfig
from cyclegan_tf.translation.translate import translate

# Small networks and few epochs: a few minutes on two processor cores.
DEMO_CONFIG = TrainConfig(
    dataset=DatasetConfig("demo", preprocess="none"),
    networks=NetworkConfig(
        filters=16, num_residual_blocks=2, discriminator_filters=16, num_layers=2
    ),
    optimization=OptimizationConfig(
        batch_size=2, constant_epochs=5, decay_epochs=5, learning_rate=3e-4
    ),
)


@dataclasses.dataclass(frozen=True)
class DemoScore:
    """How near the translations of one direction come to the truth.

    Attributes:
        direction: `"g"` (plain to striped) or `"f"` (striped to plain).
        doing_nothing: mean absolute difference of the untranslated images to the
            true ones, in gray levels of 255.
        translated: the same of the translated images.
    """

    direction: str
    doing_nothing: float
    translated: float


def run_demo(
    run_dir: pathlib.Path, config: TrainConfig | None = None
) -> list[DemoScore]:
    """Train on the demo domains and translate their test images.

    Args:
        run_dir: a new folder for the run. It also gets the test images (`test/`),
            their translations (`translated/`) and `contact_sheet.png`.
        config: other options for it. Defaults to `DEMO_CONFIG`.

    Returns:
        The scores of both directions.

    Raises:
        InputError: if the folder holds something already.
    """
    train(config or DEMO_CONFIG, run_dir)
    truth = {"g": demo_images("testB"), "f": demo_images("testA")}
    inputs = {"g": truth["f"], "f": truth["g"]}
    translated = {
        "g": _translate(run_dir, "g", inputs["g"]),
        "f": _translate(run_dir, "f", inputs["f"]),
    }
    columns = [
        inputs["g"],
        translated["g"],
        truth["g"],
        inputs["f"],
        translated["f"],
        truth["f"],
    ]
    write_contact_sheet(
        run_dir / "contact_sheet.png",
        list(zip(*columns))[:8],
        ["x", "G(x)", "truth", "y", "F(y)", "truth"],
    )
    return [
        DemoScore(
            direction,
            _mean_difference(inputs[direction], truth[direction]),
            _mean_difference(translated[direction], truth[direction]),
        )
        for direction in ("g", "f")
    ]


def _translate(
    run_dir: pathlib.Path, direction: Literal["g", "f"], images: list[Image]
) -> list[Image]:
    """Write the images, translate them as a user would, and read the result."""
    folder = run_dir / "test" / {"g": "A", "f": "B"}[direction]
    for i, image in enumerate(images):
        write_image(folder / f"{i:04d}.png", image)
    translations = translate(
        TranslateConfig(
            run_dir, (folder,), run_dir / "translated" / direction, direction
        )
    )
    return [read_image(item.output) for item in translations]


def _mean_difference(images: list[Image], others: list[Image]) -> float:
    return float(np.mean(np.abs(np.stack(images).astype(float) - np.stack(others))))
