"""The paper: networks, losses and the training step, on Keras and TensorFlow alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules={"losses"})
