"""Four photographs to try a generator on; CREDITS.md says whose they are."""

from pathlib import Path

# In the order in which pages and sheets show them.
PHOTOGRAPHS = tuple(
    Path(__file__).with_name(f"{name}.jpg")
    for name in ("china", "rocket", "coffee", "chelsea")
)
