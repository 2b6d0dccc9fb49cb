"""Find problems in a data set."""
