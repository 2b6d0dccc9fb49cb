"""Photographs at the scale that a generator knows.

A generator draws what it has learned in pixels: trained on zebras of 256 pixels, it
gives a horse of 2,000 pixels stripes as thin as hair.
"""

import dataclasses

from cyclegan_tf.translation.options import Size, check_size

# The size that the reference trains at.
ASSUMED_TRAINING_SIZE = 256

# Textures are still right at this multiple of the training size.
_TIMES = 2


@dataclasses.dataclass(frozen=True)
class SizeLimit:
    """The limit above which photographs are scaled down before their translation.

    Attributes:
        side: the most pixels of the shorter side; `None` if there is no limit.
        reason: where the number comes from, for people; may be empty.
    """

    side: int | None
    reason: str = ""

    @classmethod
    def of(cls, size: Size, training_size: int | None) -> "SizeLimit":
        """Return the limit that a size means for a generator.

        Args:
            size: a number of pixels; `"full"` for no limit; or `"trained"` for twice
                the training size.
            training_size: side in pixels of the images that the generator was trained
                on; 256 is assumed for `None`.

        Raises:
            InputError: if the number is less than 1.
        """
        check_size(size)
        if size == "full":
            return cls(None)
        if size != "trained":
            return cls(size)
        reason = f"twice the {training_size} of the training images"
        if training_size is None:
            reason = (
                f"twice {ASSUMED_TRAINING_SIZE}, which is assumed because the "
                "generator does not say the size of its training images"
            )
        return cls(_TIMES * (training_size or ASSUMED_TRAINING_SIZE), reason)

    def __str__(self) -> str:
        return "full" if self.side is None else str(self.side)

    def describe(self, count: int) -> str:
        """Say in a sentence that so many images were scaled down, and to what."""
        images = "1 image" if count == 1 else f"{count} images"
        reason = f", {self.reason}" if self.reason else ""
        return (
            f"Scaled {images} down to a shorter side of {self.side} pixels{reason}; "
            "`size=full` keeps the size."
        )
