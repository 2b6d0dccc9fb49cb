"""CycleGAN for TensorFlow and Keras 3: unpaired image-to-image translation.

The public names are listed in `__init__.pyi` and imported when they are first
used, so that `import cyclegan_tf` does not wait for TensorFlow.
"""

import importlib

import lazy_loader
import wrapt

from cyclegan_tf._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


@wrapt.when_imported("keras")
def _register_with_keras(_: object) -> None:
    """Let `keras.saving.load_model` find our classes, registered on import."""
    importlib.import_module("cyclegan_tf.models.cyclegan")
    importlib.import_module("cyclegan_tf.models.schedules")
