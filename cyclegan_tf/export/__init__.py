"""A generator as SavedModel, LiteRT or ONNX, each compared with Keras."""
