"""Translate images with a generator: one, many files, or a page in the browser."""
