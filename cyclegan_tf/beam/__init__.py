"""Translation of millions of images, each once, on Apache Beam."""
