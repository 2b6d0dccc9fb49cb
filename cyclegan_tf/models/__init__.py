"""The paper: four networks, their losses and the training step, in Keras alone."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules={"losses"})
