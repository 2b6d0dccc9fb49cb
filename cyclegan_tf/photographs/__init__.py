"""Four photographs to try a generator on; CREDITS.md says whose they are."""

from pathlib import Path

# In the order in which pages and sheets show them.
PHOTOGRAPHS = tuple(
    Path(__file__).with_name(f"{name}.jpg")
    for name in ("china", "rocket", "coffee", "chelsea")
)

# For wherever they are shown; Markdown makes links of the addresses.
CREDITS = (
    "danielbuechele (https://www.flickr.com/photos/danielbuechele/6061409035, CC BY "
    "2.0, https://creativecommons.org/licenses/by/2.0), SpaceX (public domain), Rachel "
    "Michetti (CC0), Stéfan van der Walt (CC0)"
)
