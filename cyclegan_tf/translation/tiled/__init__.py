"""Images larger than memory, translated tile by tile."""
