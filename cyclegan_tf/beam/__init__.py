"""Millions of images, each translated once, on Apache Beam."""
