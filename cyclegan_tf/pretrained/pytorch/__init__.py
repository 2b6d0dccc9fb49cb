"""Checkpoints of the CycleGAN authors' PyTorch code, and of GAN Compression."""
