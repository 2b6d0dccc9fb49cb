"""A training run on disk: its options, its checkpoints, its results."""
