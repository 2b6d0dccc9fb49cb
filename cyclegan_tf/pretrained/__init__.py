"""Networks that exist: found, read, described, converted."""
