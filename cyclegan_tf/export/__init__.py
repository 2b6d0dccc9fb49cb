"""A generator as SavedModel, LiteRT or ONNX, each compared with Keras.

This package produces the files; the repository's top-level folder `export/` holds what
consumes them: a server's configuration, a client, a web page, a guide for phones.
"""
