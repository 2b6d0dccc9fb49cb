"""From a folder, TensorFlow Datasets or the demo to batches of images."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
