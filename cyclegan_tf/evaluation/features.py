"""Feature extractors: from images to vectors whose distributions are compared.

A distance depends on its features, so every extractor has a label for the names of
scores and a sentence for their protocol.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cyclegan_tf._shared.archives import open_h5
from cyclegan_tf._shared.errors import InputError, first_line
from cyclegan_tf.images.pixels import Image, color_square, normalize

BATCH_SIZE = 32

_RANDOM_FILTERS = 16
_RANDOM_LAYERS = 4


@dataclasses.dataclass(frozen=True)
class FeatureExtractor:
    """A function from images to feature vectors.

    Attributes:
        label: its name within the names of scores.
        protocol: a sentence that describes it.
        side: pixels per side that images are resized to, with an antialiased filter.
        network: maps float32 (batch, side, side, 3) in [-1, 1] to (batch, dimensions).
    """

    label: str
    protocol: str
    side: int
    network: Callable[[Any], Any]

    def __call__(self, images: Iterable[Image]) -> np.ndarray:
        """Extract the features of images.

        Args:
            images: uint8 arrays (height, width, 1 or 3), of any sizes.

        Returns:
            float64 (images, dimensions).
        """
        features = [
            np.asarray(
                self.network(normalize(np.stack(batch).astype(np.float32))), np.float64
            )
            for batch in _batches(color_square(image, self.side) for image in images)
        ]
        return np.concatenate(features)


def feature_extractor(
    name: str, weights: pathlib.Path | None = None
) -> FeatureExtractor:
    """Return a feature extractor by name.

    Args:
        name: `"random"`, `"inception"`, or the path of a SavedModel.
        weights: weights of `"inception"`; see `inception_features`.

    Raises:
        InputError: if there is no such extractor, or it cannot be loaded.
    """
    if weights is not None and name != "inception":
        raise InputError(
            f"`features_weights={weights}` needs `features=inception`, not {name}; "
            "leave it out."
        )
    if name == "random":
        return random_features()
    if name == "inception":
        return inception_features(weights)
    return saved_model_features(pathlib.Path(name))


def random_features() -> FeatureExtractor:
    """Return a fixed random convolutional network, which needs no download.

    It has four layers of 16 filters; the features are the means of all responses over
    the image, 64 dimensions. Random filters distinguish colors and textures without a
    bias to ImageNet (Naeem et al., 2020, Reliable Fidelity and Diversity Metrics for
    Generative Models, section 2.4 and 5.2).
    """
    side = 128
    x = image = keras.Input((side, side, 3))
    responses = []
    for _ in range(_RANDOM_LAYERS):
        x = keras.layers.Conv2D(_RANDOM_FILTERS, 3, padding="same", use_bias=False)(x)
        x = keras.layers.LeakyReLU(0.2)(x)
        responses.append(keras.layers.GlobalAveragePooling2D()(x))
        x = keras.layers.AveragePooling2D(2)(x)
    network = keras.Model(image, keras.layers.Concatenate()(responses))
    # NumPy guarantees the same numbers in all versions; Keras does not.
    draw = np.random.RandomState(0).standard_normal
    network.set_weights(
        [
            draw(weight.shape) * np.sqrt(2 / np.prod(weight.shape[:-1]))
            for weight in network.weights
        ]
    )
    return FeatureExtractor(
        "random",
        f"Features: means over the image of the {len(responses) * _RANDOM_FILTERS} "
        "responses of a random convolutional network (4 layers of 16 filters 3x3, "
        f"leaky ReLU, fixed weights) on images resized to {side}x{side}. Not "
        "comparable to published values, which use Inception features.",
        side,
        network.predict_on_batch,
    )


def inception_features(weights: pathlib.Path | None = None) -> FeatureExtractor:
    """Return the 2,048 pooled features of Keras's InceptionV3, trained on ImageNet.

    Args:
        weights: file of its weights without the top, `.weights.h5` or `.h5`. Keras
            downloads them by default.

    Raises:
        InputError: if the weights cannot be loaded or downloaded.
    """
    side = 299
    try:
        if weights:
            with open_h5(weights):  # Keras opens it again
                pass
        network = keras.applications.InceptionV3(
            include_top=False,
            weights=None if weights else "imagenet",
            pooling="avg",
            input_shape=(side, side, 3),
        )
        if weights:
            network.load_weights(weights)
    except Exception as e:  # Keras reports a failed download as a bare Exception
        raise InputError(
            f"The weights of InceptionV3 cannot be loaded ({first_line(e)}); "
            "name their file by `features_weights`, or use `features=random`."
        ) from e
    return FeatureExtractor(
        "inception",
        "Features: the 2,048 pooled features of Keras's InceptionV3 "
        f"({weights or 'ImageNet'}) on images resized to {side}x{side} with Pillow's "
        "antialiased bicubic filter. Close to, but not the same as, values from the "
        "Inception network of the first FID code.",
        side,
        network.predict_on_batch,
    )


def saved_model_features(path: pathlib.Path) -> FeatureExtractor:
    """Return a SavedModel as an extractor.

    Args:
        path: a SavedModel whose `serving_default` signature has one input, float32
            (batch, side, side, 3) in [-1, 1], and one output, (batch, dimensions).

    Raises:
        InputError: if it is not such a SavedModel.
    """
    try:
        model = tf.saved_model.load(str(path))
        signature = model.signatures["serving_default"]
        (name, spec), *more_inputs = signature.structured_input_signature[1].items()
        (output,) = signature.structured_outputs
        batch, height, width, channels = spec.shape
        valid = not more_inputs and height == width and channels == 3 and not batch
        valid = valid and height is not None and spec.dtype == tf.float32
    except Exception:  # a damaged folder can raise anything
        valid = False
    if not valid:
        raise InputError(
            f"{path} is no feature extractor; `features` takes random, inception or a "
            "SavedModel whose serving_default has one input, float32 (batch, side, "
            "side, 3), and one output."
        )

    def network(images: np.ndarray) -> np.ndarray:
        assert model is not None  # keeps the model of the signature alive
        features = signature(**{name: tf.constant(images)})[output].numpy()
        return features.reshape(len(features), -1)

    return FeatureExtractor(
        path.name,
        f"Features: the SavedModel {path.name} on images resized to {height}x{width}.",
        height,
        network,
    )


def _batches(images: Iterable[np.ndarray]) -> Iterable[list[np.ndarray]]:
    remaining = iter(images)
    while batch := list(itertools.islice(remaining, BATCH_SIZE)):
        yield batch
