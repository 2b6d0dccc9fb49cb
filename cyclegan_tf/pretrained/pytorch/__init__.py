"""Checkpoints of the PyTorch code of CycleGAN, pix2pix, CUT and GAN Compression."""
