"""The demo from beginning to end."""

import dataclasses
import functools

import numpy as np

from cyclegan_tf.cli import demo
from cyclegan_tf.cli import main as cli
from cyclegan_tf.config.options import NetworkConfig
from cyclegan_tf.data.demo import demo_images
from cyclegan_tf.evaluation import evaluate as evaluation
from cyclegan_tf.images import read_image
from cyclegan_tf.photographs import PHOTOGRAPHS
from cyclegan_tf.pretrained.zoo import model_named
from cyclegan_tf.translation.translator import Translator


def test_the_demo(tmp_path, monkeypatch, capsys, eagerly):
    """With networks too small and a training too short to be good."""
    tiny_config = dataclasses.replace(
        demo.DEMO,
        dataset=dataclasses.replace(demo.DEMO.dataset, max_images=4),
        networks=NetworkConfig(
            filters=2, num_residual_blocks=1, discriminator_filters=2, num_layers=1
        ),
        optimization=dataclasses.replace(
            demo.DEMO.optimization, constant_epochs=1, decay_epochs=0
        ),
    )
    monkeypatch.setattr(demo, "DEMO", tiny_config)
    # The printed scores do not depend on it.
    quick = functools.partial(evaluation.DomainClassifier, steps=2)
    monkeypatch.setattr(evaluation, "DomainClassifier", quick)
    run_dir = tmp_path / "demo"
    assert cli.main(["demo", "--run-dir", str(run_dir)]) == 0
    printed = capsys.readouterr().out

    splits = {"g": ("testA", "testB"), "f": ("testB", "testA")}
    for direction, (source, target) in splits.items():
        inputs = demo_images(source)[:4]
        truth = np.stack(demo_images(target)[:4]).astype(float)
        translator = Translator(run_dir / f"generator_{direction}.keras")
        doing_nothing = np.abs(np.stack(inputs) - truth).mean()
        translated = np.abs(np.stack(list(map(translator, inputs))) - truth).mean()
        assert (
            f"  {direction}: doing nothing {doing_nothing:.1f}, translated "
            f"{translated:.1f} (ratio {translated / doing_nothing:.2f})\n"
        ) in printed
    assert f"See {run_dir / 'report.html'}\n" in printed

    page = (run_dir / "report.html").read_text("utf-8")
    paint = Translator(
        "pretrained:photo2monet", size=model_named("photo2monet").training_size
    )
    for photograph in PHOTOGRAPHS:
        painted = read_image(tmp_path / "demo-photographs" / photograph.name)
        # JPEG changes what it stores.
        difference = painted.astype(float) - paint(photograph)
        assert np.abs(difference).mean() < 3
        assert f'alt="Translation of {photograph.stem}"' in page
