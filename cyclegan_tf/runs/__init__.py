"""A training as a folder: its options, its checkpoints, its results."""
