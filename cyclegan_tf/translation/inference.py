"""A generator rebuilt for runtimes outside Keras: the same function, plainly put.

`translator.py` and the export formats run this model; training never does.
"""

from typing import Any

import keras
import tensorflow as tf

_FLOATS = ("float16", "bfloat16", "float32")


def inference_model(generator: keras.Model) -> keras.Model:
    """Copy a generator into a model that every runtime can take.

    It computes what the generator computes in inference, with these differences:

    - everything is float32, also if it was trained in mixed precision;
    - heights and widths are free, also if they were fixed;
    - squares are products, because converters fuse the square of a difference into an
      operation that LiteRT has no int16 kernel for;
    - upsampling asks TensorFlow for the size at run time: Keras's bilinear layer
      cannot be traced for free sizes, and its nearest one becomes rank-5 tensors.

    Args:
        generator: a Keras functional model from (batch, height, width, channels) to
            (batch, height, width, output_channels), such as those of
            `cyclegan_tf.models.networks`. It is not changed.

    Returns:
        A `keras.Model` from float32 `image` to float32 of the same height and width,
        both in [-1, 1].
    """
    channels = generator.input_shape[-1]
    model = keras.models.clone_model(
        generator,
        input_tensors=keras.Input((None, None, channels), name="image"),
        clone_function=_plain_operation,
        call_function=_plain_call,
    )
    model.set_weights(generator.get_weights())
    return model


class Resize(keras.layers.Layer):
    """`UpSampling2D` on images whose size is only known at run time."""

    def __init__(self, factors: tuple[int, int], interpolation: str, **options: Any):
        super().__init__(**options)
        self.factors = factors
        self.interpolation = interpolation

    def get_config(self) -> dict[str, Any]:
        options = {"factors": self.factors, "interpolation": self.interpolation}
        return super().get_config() | options

    def call(self, x: tf.Tensor) -> tf.Tensor:
        size = tf.shape(x)[1:3] * tf.constant(self.factors)
        return tf.image.resize(x, size, self.interpolation)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], None, None, input_shape[-1])


def _plain_operation(operation: Any) -> Any:
    """Copy a layer, or one of the `keras.ops`, which have no dtype policy."""
    if isinstance(operation, keras.layers.UpSampling2D):
        return Resize(operation.size, operation.interpolation, name=operation.name)
    config = operation.get_config()
    if isinstance(operation, keras.layers.Layer):
        config["dtype"] = "float32"
    return type(operation).from_config(config)


def _plain_call(operation: Any, *args: Any, **kwargs: Any) -> Any:
    # `keras.ops` in a functional model are recorded as objects of private classes.
    kind = type(operation).__name__
    if kind == "Square":
        return keras.layers.Multiply(name=f"{operation.name}_product")(
            [args[0], args[0]]
        )
    if kind == "Cast" and keras.backend.standardize_dtype(operation.dtype) in _FLOATS:
        return args[0]
    return operation(*args, **kwargs)
