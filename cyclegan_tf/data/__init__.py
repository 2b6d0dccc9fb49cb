"""From a folder, TensorFlow Datasets or the demo to batches of images."""
