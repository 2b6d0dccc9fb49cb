"""The built-in demo: translate photographs, train on the demo domains, and show all."""

import logging
import pathlib
from typing import TYPE_CHECKING

import cyclegan_tf as api

if TYPE_CHECKING:
    from cyclegan_tf.evaluation.scores import Evaluation
    from cyclegan_tf.report.report import Showcase

_LOG = logging.getLogger(__name__)

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
_MODEL = "photo2monet"
_IMAGES = 8  # of each domain in the report


def run_demo(
    run_dir: pathlib.Path, config: api.TrainConfig | None = None
) -> "Evaluation":
    """Translate photographs by a trained model, then train on the demo domains.

    The translations of the photographs lie beside the run, in `NAME-photographs`.

    Args:
        run_dir: a new folder for the run, its scores, and `report.html`, which also
            shows the photographs.
        config: other options. Defaults to `DEMO`.

    Returns:
        The scores of both directions; `"mae"` compares with the true images.

    Raises:
        InputError: if the folder is not empty.
    """
    showcase = _translate_photographs(run_dir.with_name(f"{run_dir.name}-photographs"))
    api.train(config or DEMO, run_dir)
    evaluation = api.evaluate(api.EvaluateConfig(run_dir))
    api.write_report(api.ReportConfig(run_dir, images=_IMAGES), showcase)
    return evaluation


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
    lines.append(f"See {run_dir / 'report.html'}")
    return "\n".join(lines)


def _translate_photographs(out: pathlib.Path) -> "Showcase":
    """Translate the package's photographs by a model that comes with it."""
    from cyclegan_tf.photographs import CREDITS, PHOTOGRAPHS
    from cyclegan_tf.pretrained.zoo import PREFIX, model_named
    from cyclegan_tf.report.report import Showcase

    model = model_named(_MODEL)
    # Brushwork is broad at the size of training; the default is twice that.
    config = api.TranslateConfig(
        pathlib.Path(PREFIX + _MODEL), PHOTOGRAPHS, out, size=model.training_size
    )
    files = [(each.input, each.output) for each in api.translate(config)]
    _LOG.info("Translated photographs by %s; see %s", _MODEL, out)
    return Showcase(_MODEL, model.translates, files, CREDITS)
