"""Find, read and convert saved networks, those of runs included."""
