"""The built-in demo: train on the demo domains, score, and show translations."""

import pathlib
from typing import TYPE_CHECKING

import cyclegan_tf as api

if TYPE_CHECKING:
    from cyclegan_tf.evaluation.scores import Evaluation

# Small networks and few epochs: a few minutes on two processor cores.
DEMO = api.TrainConfig(
    dataset=api.DatasetConfig("demo", preprocess="none"),
    networks=api.NetworkConfig(
        filters=16, num_residual_blocks=2, discriminator_filters=16, num_layers=2
    ),
    optimization=api.OptimizationConfig(
        batch_size=2, constant_epochs=5, decay_epochs=5, learning_rate=3e-4
    ),
)
_CONTACT_SHEET = "contact_sheet.png"
_ROWS = 8


def run_demo(
    run_dir: pathlib.Path, config: api.TrainConfig | None = None
) -> "Evaluation":
    """Train on the demo domains, then score the translations of the test images.

    Args:
        run_dir: a new folder for the run, its scores and `contact_sheet.png`.
        config: other options. Defaults to `DEMO`.

    Returns:
        The scores of both directions; `"mae"` compares with the true images.

    Raises:
        InputError: if the folder is not empty.
    """
    api.train(config or DEMO, run_dir)
    _write_contact_sheet(run_dir)
    return api.evaluate(api.EvaluateConfig(run_dir))


def summarize(evaluation: "Evaluation", run_dir: pathlib.Path) -> str:
    """Return how close the translations are to the truth, compared with the inputs."""
    lines = ["Mean absolute difference to the truth, in gray levels of 255:"]
    for direction in evaluation.directions:
        score = evaluation.score(direction, "mae")
        assert score.untranslated is not None  # the demo's test images are paired
        lines.append(
            f"  {direction}: doing nothing {score.untranslated:.1f}, translated "
            f"{score.translated:.1f} "
            f"(ratio {score.translated / score.untranslated:.2f})"
        )
    lines.append(f"See {run_dir / _CONTACT_SHEET}")
    return "\n".join(lines)


def _write_contact_sheet(run_dir: pathlib.Path) -> None:
    """Write the first test images of each domain, their translations and the truth."""
    from cyclegan_tf.data.demo import demo_images

    g, f = (api.Translator(run_dir / f"generator_{name}.keras") for name in "gf")
    pairs = zip(demo_images("testA")[:_ROWS], demo_images("testB")[:_ROWS])
    api.images.write_contact_sheet(
        run_dir / _CONTACT_SHEET,
        [(x, g(x), y, y, f(y), x) for x, y in pairs],
        ["x", "G(x)", "truth", "y", "F(y)", "truth"],
    )
