"""Preparation of images for training: resize, crop, flip."""

import dataclasses

import tensorflow as tf

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import Preprocess
from cyclegan_tf.images.pixels import Image, resize_image


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The preparation of each image: a resize, which is cached, and augmentation.

    Attributes:
        mode: `"resize_and_crop"` resizes to a square of `load_size`, then crops;
            `"crop"` only crops; `"scale_width"` resizes to `load_size` pixels wide,
            at least `crop_size` high; `"scale_width_and_crop"` then crops;
            `"none"` does neither.
        load_size: int. Pixels.
        crop_size: int. Pixels a side.
        flip: bool. Mirror half of the images.
        size_multiple: int. Without a crop, the resize rounds the sides to multiples
            of this, as the generators need.
    """

    mode: Preprocess = "resize_and_crop"
    load_size: int = 286
    crop_size: int = 256
    flip: bool = True
    size_multiple: int = 4

    def __post_init__(self) -> None:
        if self.crops and self.crop_size % self.size_multiple:
            raise InputError(
                f"The generator needs sides that are multiples of {self.size_multiple}"
                f", but the crop size is {self.crop_size}; choose another `crop_size` "
                "or another generator."
            )
        if self.crops and self.mode != "crop" and self.load_size < self.crop_size:
            raise InputError(
                f"Images of load size {self.load_size} are smaller than the crop size "
                f"{self.crop_size}; raise `load_size` or lower `crop_size`."
            )

    @property
    def crops(self) -> bool:
        return self.mode.endswith("crop")

    def for_evaluation(self) -> "Preprocessing":
        """Return the same without augmentation: resize to the crop size, center-crop.

        If training does not crop, images keep their training size.
        """
        load_size = self.crop_size if self.crops else self.load_size
        return dataclasses.replace(self, load_size=load_size, flip=False)

    def resize(self, image: Image) -> Image:
        """Apply the deterministic part, before the cache: uint8 in, uint8 out."""
        return resize_image(image, *self.resized(*image.shape[:2]))

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that `resize` gives an image."""
        if self.mode == "resize_and_crop":
            height = width = self.load_size
        elif self.mode.startswith("scale_width"):
            height = max(round(height * self.load_size / width), self.crop_size)
            width = self.load_size
        if not self.crops:
            height, width = (
                max(1, round(side / self.size_multiple)) * self.size_multiple
                for side in (height, width)
            )
        return height, width

    def augment(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Apply the random part, after the cache.

        Args:
            image: (height, width, channels) of any dtype.
            seed: int64 (2,). The same seed gives the same crop and flip.
        """
        crop_seed, flip_seed = tf.unstack(tf.random.experimental.stateless_split(seed))
        if self.crops:
            size = (self.crop_size, self.crop_size, image.shape[-1])
            image = tf.image.stateless_random_crop(image, size, crop_seed)
        if self.flip:
            image = tf.image.stateless_random_flip_left_right(image, flip_seed)
        return image

    def crop_center(self, image: Image) -> Image:
        """Crop an evaluation image at the center."""
        if not self.crops:
            return image
        top, left = ((side - self.crop_size) // 2 for side in image.shape[:2])
        return image[top : top + self.crop_size, left : left + self.crop_size]
