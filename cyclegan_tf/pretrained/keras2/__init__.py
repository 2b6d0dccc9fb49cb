"""Models saved by Keras 2, with or without TensorFlow Addons."""
