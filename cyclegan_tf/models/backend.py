"""Keras must run on TensorFlow with its usual settings; others are refused in words.

Keras reads them from the environment variable KERAS_BACKEND and from keras.json before
this package can change them.

What this package uses of Keras beyond its public interface, until Keras changes; a test
fails when one is no longer needed (tests/models/test_backend.py):

- `models.tracking.LossMeans` is a `MetricsList` with a `_direction` in each metric:
  callbacks such as `EarlyStopping` ask no other metric whether less is better
  (keras-team/keras#18798).
- `ImagePairTrainer._maybe_symbolic_build`: under a strategy Keras would build the model
  on the mean of the replicas' batches, which fails if they differ in length
  (keras-team/keras#20585).
- `ImagePairTrainer.evaluate` reads `_use_cached_eval_dataset`, by which `fit` says that
  it validates: another look at a generator would take a batch from it.
- `AdversarialModel._track` gives logs a first axis with several workers, along which
  Keras averages them (keras-team/keras#20585).
"""

import keras


def check_settings() -> None:
    """Check the settings that Keras was imported with.

    Raises:
        ImportError: if the backend is not TensorFlow, the data format is not
            `"channels_last"`, or `floatx` is a half precision.
    """
    for setting, found, wanted, how in (
        (
            "backend",
            keras.backend.backend(),
            ("tensorflow",),
            "set the environment variable KERAS_BACKEND=tensorflow",
        ),
        (
            "image_data_format",
            keras.config.image_data_format(),
            ("channels_last",),
            'call keras.config.set_image_data_format("channels_last")',
        ),
        (
            "floatx",
            keras.config.floatx(),
            ("float32", "float64"),
            'call keras.config.set_floatx("float32")',
        ),
    ):
        if found not in wanted:
            raise ImportError(
                f"cyclegan_tf needs Keras with {setting} {wanted[0]!r}, but Keras was "
                f"imported with {found!r}; {how} before you import cyclegan_tf, or "
                "change keras.json."
            )


check_settings()
