"""The generators and discriminators, and what they are built of."""
