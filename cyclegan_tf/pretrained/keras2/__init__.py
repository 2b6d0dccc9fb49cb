"""Models that Keras 2 saved, with TensorFlow Addons or without."""
