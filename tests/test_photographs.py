"""The photographs that come with the package."""

import PIL.Image

from cyclegan_tf.photographs import PHOTOGRAPHS


def test_each_is_an_image_with_credit():
    credits = PHOTOGRAPHS[0].with_name("CREDITS.md").read_text("utf-8")
    for path in PHOTOGRAPHS:
        with PIL.Image.open(path) as image:
            image.load()
        assert f"| {path.name}, {image.width}x{image.height} |" in credits
