"""Feature extractors return the same features for the same images."""

import keras
import numpy as np
import pytest

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.evaluation.features import feature_extractor


def draw(count, height, width, channels=3):
    random = np.random.default_rng(0)
    return list(
        random.integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    )


def test_random_features():
    images = draw(35, 40, 24) + draw(1, 16, 16, channels=1)
    extractor = feature_extractor("random")
    features = extractor(images)
    assert features.shape == (36, 64) and features.dtype == np.float64
    assert extractor.label == "random" and "64 responses" in extractor.protocol
    # The features do not depend on the global seed.
    keras.utils.set_random_seed(5)
    again = feature_extractor("random")(iter(images[:3]))
    np.testing.assert_allclose(again, features[:3], rtol=1e-4, atol=1e-6)
    # Known values keep scores of different releases comparable.
    np.testing.assert_allclose(
        feature_extractor("random")([np.full((8, 8, 3), 255, np.uint8)])[0, :3],
        [-0.014732, -0.092505, -0.251218],
        rtol=1e-4,
    )


def test_inception_features_from_a_file(tmp_path):
    """Untrained weights, because trained ones would need a download."""
    network = keras.applications.InceptionV3(
        include_top=False, weights=None, pooling="avg", input_shape=(299, 299, 3)
    )
    network.save_weights(tmp_path / "inception.weights.h5")
    extractor = feature_extractor("inception", tmp_path / "inception.weights.h5")
    images = draw(2, 299, 299)
    expected = network.predict_on_batch(np.stack(images) / np.float32(127.5) - 1)
    np.testing.assert_allclose(extractor(images), expected, rtol=1e-4, atol=1e-6)
    assert extractor.label == "inception"
    assert "inception.weights.h5" in extractor.protocol


def test_a_saved_model(tmp_path):
    image = keras.Input((16, 16, 3))
    features = keras.layers.GlobalAveragePooling2D()(image)
    keras.Model(image, features).export(tmp_path / "means", verbose=False)
    extractor = feature_extractor(str(tmp_path / "means"))
    images = draw(3, 16, 16)
    expected = np.stack(images).mean(axis=(1, 2)) / 127.5 - 1
    np.testing.assert_allclose(extractor(images), expected, atol=1e-5)
    assert (extractor.label, extractor.side) == ("means", 16)


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("absent", None, "absent is no feature extractor; `features` takes random"),
        ("inception", "absent.weights.h5", "The weights of InceptionV3 cannot be load"),
        ("random", "x.weights.h5", "x.weights.h5` needs `features=inception`"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, name, weights, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        feature_extractor(name, weights)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4,), "float32"), ((None, None, 3), "float32"), ((16, 16, 3), "float16")],
)
def test_a_saved_model_of_other_inputs(tmp_path, shape, dtype):
    values = keras.Input(shape, dtype=dtype)
    keras.Model(values, keras.ops.cast(values, "float32")).export(
        tmp_path / "other", verbose=False
    )
    with pytest.raises(InputError, match="is no feature extractor"):
        feature_extractor(str(tmp_path / "other"))
