"""Existing networks: find, read, describe and convert them."""
