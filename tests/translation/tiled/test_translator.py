"""Translating tile by tile gives what translating at once gives."""

import types

import keras
import numpy as np
import pytest

import cyclegan_tf
from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.images import normalize
from cyclegan_tf.translation.inference import inference_model
from cyclegan_tf.translation.tiled.translator import TiledTranslator
from cyclegan_tf.translation.translator import Translator

# At once, statistics are float32 sums over all pixels; in tiles they are float64.
ROUNDING = 1e-4

RESNETS = {
    "instance": {},
    "three blocks, affine": {"num_residual_blocks": 3, "norm": "instance_affine"},
    "batch": {"norm": "batch"},
    "no norm": {"norm": "none"},
    "nearest": {"upsampling": "nearest", "padding": "same"},
    "bilinear": {"upsampling": "bilinear"},
    "antialiased": {"downsampling": "antialiased", "upsampling": "antialiased"},
    "gray": {"image_shape": (None, None, 1)},
    "of one size, gray to colour": {"image_shape": (48, 48, 1), "output_channels": 3},
}


def loud(generator):
    """Give a network large weights, so that its output is not nearly flat."""
    random = np.random.default_rng(0)
    for weight in generator.weights:
        if weight.path.endswith("kernel"):
            weight.assign(random.normal(0.0, 0.2, weight.shape))
        elif weight.path.endswith("variance"):
            weight.assign(random.uniform(0.5, 2.0, weight.shape))
    return generator


def resnet(num_residual_blocks=1, **options):
    return loud(cyclegan_tf.resnet_generator(4, num_residual_blocks, **options))


def noise(height, width, channels=3):
    random = np.random.default_rng(1)
    return random.integers(0, 256, (height, width, channels), dtype=np.uint8)


def at_once(generator, image, multiple):
    height, width, _ = image.shape
    padding = ((0, -height % multiple), (0, -width % multiple), (0, 0))
    padded = np.pad(image, padding, mode="reflect")[None].astype(np.float32)
    translated = inference_model(generator)(normalize(padded), training=False)
    return np.asarray(translated)[0, :height, :width]


def in_tiles(generator, image, tile):
    translate = TiledTranslator(generator, tile)
    shape = (*image.shape[:2], translate.output_channels)
    translated = np.full(shape, np.nan, np.float32)  # until it is given out
    for box, values in translate.translate_tiles(image):
        translated[box.slices] = values
    return translated


def difference(generator, image, tile, multiple=4):
    """Largest difference of the two, in [-1, 1]."""
    expected = at_once(generator, image, multiple)
    assert expected.std() > 0.1
    return np.abs(in_tiles(generator, image, tile) - expected).max()


@pytest.mark.parametrize("options", RESNETS.values(), ids=RESNETS)
def test_resnets(options):
    generator = resnet(**options)
    # Three by three tiles, the last ones smaller, and the image padded to fit.
    image = noise(77, 90, generator.input_shape[-1])
    assert difference(generator, image, 32) < ROUNDING


def test_mobile_resnet_and_thin_last_tiles():
    generator = loud(
        cyclegan_tf.mobile_resnet_generator((4, 8, 16, 8, 4), (8, 4), padding="same")
    )
    assert difference(generator, noise(65, 33), 32) < ROUNDING


def test_unet():
    generator = loud(cyclegan_tf.unet_generator(4, 3))
    assert difference(generator, noise(77, 90), 32, multiple=8) < ROUNDING


def test_tiles_by_themselves_are_far_off():
    """What the tests above would not let pass: neither halo nor common statistics."""
    generator, image = resnet(), noise(64, 64)
    expected = at_once(generator, image, 4)
    alone = np.concatenate(
        [at_once(generator, image[:, :32], 4), at_once(generator, image[:, 32:], 4)], 1
    )
    assert np.abs(alone - expected).max() > 0.1


def test_uint8_and_further_training():
    generator, image = resnet(), noise(40, 70)
    tiled, whole = TiledTranslator(generator, 32), Translator(generator)
    for _ in range(2):
        found, expected = tiled(image).astype(int), whole(image).astype(int)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1  # where both are near a half
        assert (found != expected).mean() < 0.001
        generator.set_weights([weight * 0.9 for weight in generator.get_weights()])
        tiled.refresh()
        whole.refresh()


def test_an_image_of_one_tile_is_translated_at_once():
    generator, image = resnet(), noise(32, 20)
    expected = Translator(generator)(image)
    np.testing.assert_array_equal(TiledTranslator(generator, 32)(image), expected)


def test_files_are_removed(tmp_path):
    tiles = TiledTranslator(resnet(), 16).translate_tiles(noise(40, 40), tmp_path)
    next(tiles)
    (folder,) = tmp_path.iterdir()
    sizes = [path.stat().st_size for path in folder.iterdir()]
    assert sizes == [20 * 20 * 8 * 4]  # the map that the last stage begins with
    tiles.close()  # as if it had been interrupted
    assert not list(tmp_path.iterdir())


def test_room_on_the_disk(tmp_path, monkeypatch):
    translate = TiledTranslator(resnet(), 16)
    # At most four maps of 16 float32 at a quarter of the size, and the pixels.
    assert translate.disk_bytes(400, 399) == 400 * 400 * (4 * 16 * 4 // 16 + 6)
    usage = types.SimpleNamespace(free=10**6)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(InputError, match="399x400 pixels need 0.0 GB in .*make room"):
        list(translate.translate_tiles(noise(400, 399), tmp_path))
    assert not list(tmp_path.iterdir())


def test_channels():
    with pytest.raises(ValueError, match="takes images of 3 channels"):
        list(TiledTranslator(resnet(), 16).translate_tiles(noise(40, 40, 1)))


def test_a_field_of_view_larger_than_a_tile():
    generator = cyclegan_tf.unet_generator(4, 5, norm="batch")
    with pytest.raises(InputError, match="sees up to 96 pixels.*use `tile=96`"):
        TiledTranslator(generator, 64)


def whole_image_layer(x):
    return keras.layers.GroupNormalization(1, name="group_norm")(x)


def norm_of_the_image(x):
    return keras.layers.GroupNormalization(-1, name="first")(x)


def shared_layer(x):
    layer = keras.layers.Conv2D(3, 3, padding="same", name="shared")
    return layer(layer(x))


def image_mean(x):
    return x - keras.ops.mean(x, axis=(1, 2), keepdims=True)


def shrinking(x):
    return keras.layers.UpSampling2D()(keras.layers.Conv2D(3, 3, strides=2)(x))


def test_a_generator_that_does_not_keep_the_size():
    image = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="of 256x288 pixels becomes one of 254x286"):
        TiledTranslator(keras.Model(image, shrinking(image)), 16)


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (whole_image_layer, "group_norm"),
        (norm_of_the_image, "first_moments"),
        (shared_layer, "shared"),
        (image_mean, "Mean"),
    ],
)
def test_what_cannot_be_computed_in_tiles(function, named):
    image = keras.Input((None, None, 3))
    generator = keras.Model(image, function(image))
    with pytest.raises(InputError, match=f"{named}.*leave out `tile`"):
        TiledTranslator(generator, 16)(noise(40, 40))
