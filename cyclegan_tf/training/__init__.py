"""From options to a trained run."""
