"""Translations, inputs and real images are scored alike, with a protocol."""

import functools

import numpy as np
import pytest
import tiny

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import DatasetConfig, TrainConfig
from cyclegan_tf.data import domains
from cyclegan_tf.evaluation import evaluate as evaluation
from cyclegan_tf.evaluation import metrics
from cyclegan_tf.evaluation.domain_classifier import DomainClassifier
from cyclegan_tf.evaluation.evaluator import DomainImages, Evaluator
from cyclegan_tf.evaluation.features import FeatureExtractor, random_features


@pytest.fixture(autouse=True)
def few_patches(monkeypatch):
    """Few patches save time."""
    monkeypatch.setattr("cyclegan_tf.evaluation.patches.COUNT", 2048)


def mean_colors(images):
    return np.asarray(images).mean(axis=(1, 2))


EXTRACTOR = FeatureExtractor("means", "Features: mean colors.", 8, mean_colors)


def dark(count, seed, side=16):
    return [image // 4 for image in tiny.noise(count, side, seed=seed)]


def light(count, seed, side=16):
    return [192 + image // 4 for image in tiny.noise(count, side, seed=seed)]


def brightness(images):
    """A classifier that assigns light images to the target domain."""
    return np.array([image.mean() - 128 for image in images])


def evaluator(**options):
    source = DomainImages(dark(8, 0), dark(6, 1))
    target = DomainImages(light(9, 2), light(6, 3))
    return Evaluator(source, target, EXTRACTOR, brightness, **options)


def by_name(results):
    return {score.name: score for result in results for score in result.scores}


def brighten(image):
    return image + np.uint8(192)


def darken(image):
    return image - np.uint8(192)


def test_a_good_generator_scores_between_nothing_and_real():
    scores = by_name(evaluator()(brighten, darken))
    for name in ("fid_means", "kid_means"):
        score = scores[name]
        assert score.better == "lower"
        # As good as real images, which differ from the reference only by chance.
        assert score.translated < 0.1 * score.untranslated
        assert score.real < 0.1 * score.untranslated
    assert scores["kid_standard_error_means"].better == ""
    [of_images] = [r.of_images for r in evaluator()(brighten) if r.of_images]
    assert of_images == pytest.approx(brightness([brighten(i) for i in dark(6, 1)]))
    hit_rate = scores["hit_rate"]
    assert (hit_rate.untranslated, hit_rate.translated, hit_rate.real) == (0, 1, 1)
    assert scores["cycle_error"].translated == 0
    assert scores["cycle_error"].untranslated is None
    assert scores["luminance_correlation"].translated == pytest.approx(1)
    assert scores["change"].translated == pytest.approx(192)
    # Only resizing rounds differently.
    assert scores["diversity"].translated == pytest.approx(
        scores["diversity"].untranslated, rel=1e-3
    )


def test_the_numbers_are_those_of_the_metrics():
    scores = by_name(evaluator()(brighten))
    translated = [brighten(image) for image in dark(6, 1)]
    features, reference = EXTRACTOR(translated), EXTRACTOR(light(9, 2))
    [(_, expected)] = metrics.frechet_distance(features, reference)
    assert scores["fid_means"].translated == pytest.approx(expected)
    same = [brighten(image) for image in light(6, 3)]
    [(_, expected)] = metrics.identity_error(light(6, 3), same)
    assert scores["identity_error"].translated == pytest.approx(expected)
    assert "cycle_error" not in scores  # it needs the other generator


def test_protocol_counts_and_warnings():
    results = {result.title: result for result in evaluator()(brighten)}
    distances = results["Frechet distance (FID) and kernel distance (KID)"]
    assert "Features: mean colors." in distances.protocol
    assert "the 9 training images of the target domain" in distances.protocol
    assert distances.images == {"translated": 6, "untranslated": 6, "real": 6}
    assert "6 are fewer than 2,048" in distances.warning
    assert all(result.protocol for result in results.values())


def test_test_images_as_the_reference():
    """As in published FIDs; real test images are then the reference, not a frame."""
    [distances, patches, hit_rate, *_] = evaluator(reference="test")(brighten)
    assert "the 6 test images of the target domain" in distances.protocol
    assert {score.real for score in (*distances.scores, *patches.scores)} == {None}
    assert hit_rate.scores[0].real == 1


def test_a_poor_classifier_gives_a_warning():
    source = DomainImages(dark(4, 0), dark(4, 1))
    target = DomainImages(dark(4, 2), dark(4, 3))
    results = Evaluator(source, target, EXTRACTOR, brightness)(brighten)
    [warning] = [r.warning for r in results if r.title == "Domain hit rate"]
    assert "right on only 50%" in warning


def test_paired_images():
    truth = [brighten(image) for image in dark(6, 1)]
    target = DomainImages(light(9, 2), truth)
    source = DomainImages(dark(8, 0), dark(6, 1))
    scores = by_name(
        Evaluator(source, target, EXTRACTOR, brightness, paired=True)(brighten)
    )
    assert scores["mae"].translated == 0
    assert scores["mae"].untranslated == pytest.approx(192)
    assert scores["ssim"].translated == pytest.approx(1)


def test_pairs_of_gray_and_color_are_not_compared_untranslated():
    gray = DomainImages(dark(8, 0), [image[..., :1] for image in dark(6, 1)])
    color = DomainImages(light(9, 2), light(6, 3))
    results = Evaluator(gray, color, EXTRACTOR, brightness, paired=True)(
        lambda image: image.repeat(3, axis=-1)
    )
    scores = by_name(results)
    assert scores["mae"].translated > 0
    assert scores["mae"].untranslated is None


def test_what_does_not_depend_on_the_generator_is_computed_once():
    calls = []

    def counting(images):
        calls.append(len(images))
        return mean_colors(images)

    extractor = FeatureExtractor("means", "", 8, counting)
    source = DomainImages(dark(8, 0), dark(6, 1))
    target = DomainImages(light(9, 2), light(5, 3))
    score = Evaluator(source, target, extractor, brightness)
    first, again = (list(score(brighten)) for _ in range(2))
    assert first == again
    # Real images, untranslated ones, both sets of translations, the reference.
    assert sorted(calls) == [5, 6, 6, 6, 9]


def test_too_few_images():
    one = DomainImages(dark(4, 0), dark(1, 1))
    six = DomainImages(light(9, 2), light(6, 3))
    with pytest.raises(InputError, match="There are 1 and 6 test images"):
        Evaluator(one, six, EXTRACTOR, brightness)
    single = DomainImages(light(1, 2), light(6, 3))
    with pytest.raises(InputError, match="only one training image of the target"):
        Evaluator(six, single, EXTRACTOR, brightness)
    Evaluator(six, single, EXTRACTOR, brightness, reference="test")


def test_the_classifier_learns_to_tell_domains_apart():
    """The domains differ only in the direction of stripes."""
    horizontal = [np.sort(image, axis=0) for image in tiny.noise(20, 24)]
    vertical = [np.sort(image, axis=1) for image in tiny.noise(24, 24, seed=1)]
    classifier = DomainClassifier(horizontal, vertical, steps=60)
    unseen = tiny.noise(10, 24, seed=2)
    assert (classifier.logits([np.sort(i, axis=0) for i in unseen]) < 0).all()
    assert (classifier.logits([np.sort(i, axis=1) for i in unseen]) > 0).all()


def test_real_photographs(shared, monkeypatch):
    """Zebras are nearer to zebras than horses are by every distance."""
    monkeypatch.setattr(
        evaluation, "DomainClassifier", functools.partial(DomainClassifier, steps=150)
    )
    config = TrainConfig(
        DatasetConfig(
            str(shared / "data/horse2zebra"),
            load_size=64,
            crop_size=64,
            max_images=100,
        )
    )
    evaluators = evaluation.build_evaluators(
        domains.load_domains(config, 4), random_features()
    )
    results = evaluators["g"](lambda image: image)
    scores = {score.name: score for result in results for score in result.scores}
    for name in ("fid_random", "kid_random", "swd"):
        assert scores[name].real < 0.3 * scores[name].untranslated
    assert scores["hit_rate"].real > 3 * scores["hit_rate"].untranslated
