"""What a training will need of this machine."""
