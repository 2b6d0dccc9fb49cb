"""cyclegan doctor finds each planted fault, and none in clean data."""

import dataclasses
import json
import os
import shutil
import struct
import zlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import pytest
from command_line import fails

from cyclegan_tf.cli import main as cli
from cyclegan_tf.data.sources import Source
from cyclegan_tf.doctor.checks import check
from cyclegan_tf.doctor.diagnose import diagnose
from cyclegan_tf.doctor.duplicates import near_duplicates
from cyclegan_tf.doctor.image_facts import ImageFacts, examine
from cyclegan_tf.doctor.options import DoctorConfig

SPLITS = ("trainA", "trainB", "testA", "testB")
SIDE = 48


def scene(seed, side=SIDE):
    """Large shapes that differ from those of any other seed."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return PIL.Image.fromarray(coarse).resize(
        (side, side), PIL.Image.Resampling.BICUBIC
    )


@pytest.fixture
def data(tmp_path):
    """Ten faultless images in each split."""
    for number, split in enumerate(SPLITS):
        (tmp_path / split).mkdir()
        for i in range(10):
            scene(100 * number + i).save(tmp_path / split / f"{i}.png")
    return tmp_path


def findings(data):
    return diagnose(DoctorConfig(str(data), crop_size=SIDE)).findings


def only_finding(data):
    (finding,) = findings(data)
    return finding


def test_pairs_side_by_side(tmp_path, capsys):
    for phase in ("train", "test"):
        (tmp_path / phase).mkdir()
        for i in range(4):
            # An odd width, whose right half is the wider one.
            pair = PIL.Image.new("RGB", (2 * SIDE + 1, SIDE))
            for left, seed in ((0, i), (SIDE, 100 + i)):
                side = SIDE + (left > 0)
                pair.paste(scene(seed + 10 * (phase == "test"), side), (left, 0))
            pair.save(tmp_path / phase / f"{i}.png")
    assert findings(tmp_path) == ()
    diagnosis = diagnose(DoctorConfig(str(tmp_path), crop_size=SIDE))
    assert "for pix2pix only" in diagnosis.to_text()
    assert cli.main(["doctor", str(tmp_path), "--crop-size", str(SIDE)]) == 0
    assert "--method pix2pix" in capsys.readouterr().err
    sizes = {s.split: (s.images, s.sizes) for s in diagnosis.splits}
    assert sizes == {
        split: (4, f"{SIDE + split.endswith('B')}x{SIDE}") for split in SPLITS
    }

    PIL.Image.new("RGB", (2 * SIDE, SIDE), "red").save(tmp_path / "train/4.png")
    (tmp_path / "train/5.png").write_bytes(b"no image")
    os.symlink("nowhere", tmp_path / "train/6.png")
    found = {finding.what: finding.files for finding in findings(tmp_path)}
    halves = ("train/4.png (left)", "train/4.png (right)")
    assert found["images that occur more than once, 1 byte for byte"] == (
        " = ".join(halves),
    )
    assert found["links without a target"] == ("train/6.png",)
    assert "files that cannot be read" in found


def test_clean_data_has_no_finding(data, capsys):
    assert findings(data) == ()
    assert cli.main(["doctor", str(data), "--crop-size", str(SIDE)]) == 0
    text = capsys.readouterr().out
    assert "No faults found." in text
    assert "| trainA | 10     | 0          | 48x48 | 0    |" in text


def test_damaged_files(data, capsys):
    whole = (data / "trainA/3.png").read_bytes()
    (data / "trainA/3.png").write_bytes(whole[: len(whole) // 2])
    (data / "trainA/4.png").write_bytes(b"no image")
    finding = only_finding(data)
    assert (finding.severity, finding.where) == ("warning", "trainA")
    assert finding.what == "files that cannot be read"
    truncated, other = finding.files
    assert truncated.startswith("trainA/3.png (") and "truncated" in truncated
    assert other == "trainA/4.png (unknown format)"
    assert cli.main(["doctor", str(data), "--crop-size", str(SIDE)]) == 0

    for path in (data / "trainA").iterdir():
        path.write_bytes(b"no image")
    finding = only_finding(data)
    assert finding.severity == "error" and len(finding.files) == 10
    assert cli.main(["doctor", str(data)]) == 1
    text = capsys.readouterr().out
    assert "error: trainA: files that cannot be read (10)" in text
    assert "  and 5 more\n" in text


def test_all_test_images_damaged(data, capsys):
    for path in (data / "testB").iterdir():
        path.write_bytes(b"no image")
    assert only_finding(data).severity == "error"
    train = ("train", "--data", data, "--load-size", SIDE, "--crop-size", SIDE)
    train += ("--filters", 2, "--num-residual-blocks", 1, "--run-dir", data / "run")
    assert "None of the images can be read" in fails(capsys, *train)


def test_duplicates_in_a_split(data):
    shutil.copy(data / "trainA/2.png", data / "trainA/copy.png")
    scene(5).save(data / "trainA/other_format.bmp")
    finding = only_finding(data)
    assert finding.where == "trainA"
    assert "more than once, 1 byte for byte" in finding.what
    assert finding.files == (
        "trainA/2.png = trainA/copy.png",
        "trainA/5.png = trainA/other_format.bmp",
    )
    assert "Keep one of each" in finding.advice


def test_duplicates_across_training_and_test(data):
    shutil.copy(data / "trainB/2.png", data / "testB/copy.png")
    finding = only_finding(data)
    assert finding.where == "trainB and testB"
    assert finding.files == ("trainB/2.png = testB/copy.png",)
    assert "Remove them from the training images" in finding.advice


def test_duplicates_across_domains(data):
    shutil.copy(data / "trainA/2.png", data / "trainB/copy.png")
    shutil.copy(data / "trainA/2.png", data / "testA/copy.png")
    finding = only_finding(data)
    assert finding.where == "trainA and trainB and testA"
    assert "Keep them in one domain" in finding.advice


def test_near_duplicates(data):
    """The same scene, brighter and compressed, has other bytes and pixels."""
    brighter = scene(4).point(lambda value: value * 0.8 + 40)
    brighter.save(data / "trainA/brighter.jpg", quality=60)
    brighter.resize((64, 64)).save(data / "testA/larger.png")
    within, across = [f for f in findings(data) if "nearly" in f.what]
    assert within.files == ("trainA/brighter.jpg ~ trainA/4.png",)
    assert across.where == "trainA and testA"
    assert across.files[0].startswith("testA/larger.png ~ trainA/")
    assert "test scores are too good" in across.advice
    # In the other domain it is no fault, such as one scene in summer and winter.
    (data / "testA/larger.png").unlink()
    (data / "trainA/brighter.jpg").rename(data / "trainB/brighter.jpg")
    assert findings(data) == ()


def test_sizes(data):
    scene(900, SIDE - 1).save(data / "trainA/tiny.png")
    scene(901).resize((SIDE, 2 * SIDE + 1)).save(data / "trainA/long.png")
    scene(902).resize((SIDE * 2, SIDE)).save(data / "trainA/wide_but_fine.png")
    found = {f.what: f.files for f in findings(data)}
    assert found == {
        "images smaller than the crop of 48x48": ("trainA/tiny.png",),
        "images of an aspect ratio above 2:1": ("trainA/long.png",),
    }  # 10 of 13 images make no usual size


def test_an_odd_size(data):
    for i in range(20, 30):
        scene(i).save(data / f"trainA/{i}.png")
    scene(900, 64).save(data / "trainA/odd.png")
    finding = only_finding(data)
    assert "another size than the usual 48x48" in finding.what
    assert finding.files == ("trainA/odd.png",)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_gray_among_color(data, mode):
    scene(900).convert("L").convert(mode).save(data / "trainB/gray.png")
    finding = only_finding(data)
    assert (finding.where, finding.what) == ("trainB", "gray images among color images")
    assert finding.files == ("trainB/gray.png",)


def test_color_among_gray_and_all_gray(data):
    for path in (data / "trainB").iterdir():
        PIL.Image.open(path).convert("L").save(path)
    assert findings(data) == ()
    scene(900).save(data / "trainB/color.png")
    finding = only_finding(data)
    assert finding.what == "color images among gray images"
    assert finding.files == ("trainB/color.png",)


def test_blank_images(data):
    """Black and white images are no near duplicates, despite similar fingerprints."""
    for name, color in (("black", 0), ("white", 255)):
        image = PIL.Image.new("RGB", (SIDE, SIDE), (color, color, color))
        image.save(data / f"trainA/{name}.jpg")
    gray, blank = findings(data)
    assert gray.what == "gray images among color images"
    assert blank.what == "images of a single color"
    assert blank.files == ("trainA/black.jpg", "trainA/white.jpg")


def test_images_of_a_tenth_of_the_range(data):
    """12 bits in 16: their white is nearly black."""
    for i, largest in enumerate((4095, 6300, 6800)):
        levels = np.random.default_rng(i).integers(0, largest + 1, (SIDE, SIDE))
        path = data / f"trainA/deep{i}.png"
        PIL.Image.fromarray(levels.astype(np.uint16)).save(path)
    narrow = [finding for finding in findings(data) if "a tenth" in finding.what]
    assert [finding.files for finding in narrow] == [
        ("trainA/deep0.png", "trainA/deep1.png")
    ]


def test_the_12_bit_image_of_the_cases_is_named(shared):
    path = shared / "cases/gray12in16.png"
    assert examine(Source(path.name, path)).traits == {"deep", "narrow"}


def facts(count, seed):
    """Facts of images that have nothing in common."""
    random = np.random.default_rng(seed)
    return [
        ImageFacts(
            f"{seed}-{i}",
            width=256,
            height=256,
            pixels_digest=random.bytes(8),
            fingerprint=random.integers(0, 2, 256).astype(bool),
        )
        for i in range(count)
    ]


def test_near_duplicates_among_many():
    """More images than fit one block: the nearest is named, each pair once."""
    train, test = facts(2100, 1), facts(1030, 2)

    def differing(image, bits, name):
        fingerprint = image.fingerprint.copy()
        fingerprint[:bits] ^= True
        return dataclasses.replace(
            image, name=name, pixels_digest=name.encode(), fingerprint=fingerprint
        )

    train[2050] = differing(train[5], 60, "as 5")
    train[1500] = differing(train[7], 61, "too far from 7")
    test[1029] = differing(train[2050], 2, "nearer to 2050 than to 5")
    found = near_duplicates({"trainA": train, "testA": test})
    assert [(f.where, f.files) for f in found] == [
        ("trainA", ("as 5 ~ 1-5",)),
        ("trainA and testA", ("nearer to 2050 than to 5 ~ as 5",)),
    ]


def test_imbalance():
    splits = {"trainA": facts(30, 1), "testA": facts(5, 2), "testB": facts(6, 3)}
    assert check({**splits, "trainB": facts(3 * 99, 4)}, 256) == []
    (finding,) = check({**splits, "trainB": facts(301, 4)}, 256)
    assert finding.where == "trainA and trainB"
    assert finding.what == "30 images against 301"
    assert "Images of trainA are seen 10 times as often" in finding.advice
    assert "use `max_images`" in finding.advice


def test_missing_splits(data, capsys):
    shutil.rmtree(data / "testB")
    finding = only_finding(data)
    assert (finding.severity, finding.where) == ("warning", "testB")
    shutil.rmtree(data / "testA")
    assert only_finding(data).where == "testA and testB"
    shutil.rmtree(data / "trainB")
    error = findings(data)[0]
    assert (error.severity, error.where) == ("error", "trainB")
    assert cli.main(["doctor", str(data)]) == 1
    assert "has no folder trainB" in capsys.readouterr().out
    assert "There is no folder" in fails(capsys, "doctor", data / "absent")
    shutil.rmtree(data / "trainA")
    assert "has no folder trainA" in fails(capsys, "doctor", data)
    assert "--crop-size must be" in fails(capsys, "doctor", data, "--crop-size", 0)


def test_file_lists(data):
    """Training stops at a listed name that does not exist."""
    (data / "testB.txt").write_text("testA/1.png\n")
    (data / "trainB.txt").write_text("trainB/1.png\nabsent/2.png\n")
    for split in ("trainB", "testB"):
        (data / split).rename(data / f"moved{split}")
    (data / "trainB.txt").write_text("movedtrainB/1.png\nabsent/2.png\n")
    found = {f.where: f for f in findings(data)}
    assert found["trainB"].severity == "error"
    assert found["trainB"].files == ("absent/2.png",)
    assert found["testA and testB"].files == ("testA/1.png = testA/1.png",)


def test_suffixes(data):
    (data / "trainA/3.png").unlink()
    scene(3).save(data / "trainA/3.png", format="JPEG", quality=95)
    scene(900).save(data / "trainB/photo.image", format="JPEG")
    (data / "trainB/notes.txt").write_text("not an image, and no fault")
    os.mkfifo(data / "trainB/pipe")
    (data / "trainB/link.png").symlink_to("absent.png")
    broken, overlooked, misnamed = findings(data)
    assert broken.what == "links without a target"
    assert broken.files == ("trainB/link.png",)
    assert overlooked.what == "images that are not read because of their suffix"
    assert overlooked.files == ("trainB/photo.image",)
    assert misnamed.what == "files of another format than their suffix says"
    assert misnamed.files == ("trainA/3.png",)


def png_of_16_bits():
    """A PNG with 16-bit color, which Pillow reads but does not write."""
    pixels = np.random.default_rng(0).integers(0, 2**16, (SIDE, SIDE, 3))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + checksum.to_bytes(4)

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, content)
        for kind, content in (
            (b"IHDR", header),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
    )


def rotated_exif():
    exif = PIL.Image.Exif()
    exif[PIL.ExifTags.Base.Orientation] = 6
    return exif


TRAITS = {
    "alpha.png": ("alpha", lambda p: scene(900).convert("RGBA").save(p)),
    "cmyk.jpg": ("cmyk", lambda p: scene(900).convert("CMYK").save(p)),
    "palette.png": ("palette", lambda p: scene(900).quantize(200).save(p)),
    "deep.tif": (
        "deep",
        lambda p: PIL.Image.fromarray(
            np.asarray(scene(900).convert("L")).astype(np.uint16) * 257
        ).save(p),
    ),
    "deep.png": ("deep", lambda p: p.write_bytes(png_of_16_bits())),
    "animated.webp": (
        "animated",
        lambda p: scene(900).save(
            p, save_all=True, append_images=[scene(901)], lossless=True
        ),
    ),
    "pages.tif": (
        "animated",
        lambda p: scene(900).save(p, save_all=True, append_images=[scene(901)]),
    ),
    "rotated.jpg": ("rotated", lambda p: scene(900).save(p, exif=rotated_exif())),
}


@pytest.mark.parametrize("name", TRAITS)
def test_traits_of_files(tmp_path, name):
    trait, save = TRAITS[name]
    save(tmp_path / name)
    image = examine(Source(name, tmp_path / name))
    assert (image.problem, image.traits) == ("", {trait})
    named = [f for f in check({"trainA": [image]}, SIDE) if name in f.files]
    assert [f.where for f in named] == ["trainA"] and named[0].advice


def test_a_photograph_with_its_preview_is_not_animated(tmp_path):
    path = tmp_path / "camera.jpg"
    scene(900).save(path, "MPO", save_all=True, append_images=[scene(900, 16)])
    with PIL.Image.open(path) as file:
        assert file.format == "MPO"
    assert examine(Source("camera.jpg", path)).traits == frozenset()


def test_bytes_of_a_file_and_pixels_are_examined_too(data):
    path = data / "trainA/1.png"
    from_file = examine(Source("1", path))
    from_bytes = examine(Source("1", path.read_bytes()))
    from_pixels = examine(Source("1", np.asarray(scene(1))))
    assert from_file.bytes_digest == from_bytes.bytes_digest
    assert from_file.pixels_digest == from_pixels.pixels_digest
    assert np.array_equal(from_file.fingerprint, from_pixels.fingerprint)


def test_the_demo_can_be_trained_on(capsys):
    assert cli.main(["doctor", "demo", "--crop-size", "48"]) == 0
    text = capsys.readouterr().out
    assert "| trainA | 400    | 0          | 48x48 | 0    |" in text
    assert "error" not in text and "more than once" not in text


def test_json(data, tmp_path):
    shutil.copy(data / "trainA/2.png", data / "trainB/copy.png")
    path = tmp_path / "out/found.json"
    options = ["--crop-size", str(SIDE), "--json", str(path)]
    assert cli.main(["doctor", str(data), *options]) == 0
    content = json.loads(path.read_text())
    assert content["trainable"] is True
    assert content["splits"][0]["images"] == 10
    assert content["findings"][0]["files"] == ["trainA/2.png = trainB/copy.png"]


def test_real_photographs(shared):
    """These faults were found by hand."""
    found = diagnose(DoctorConfig(str(shared / "data/horse2zebra"))).findings
    duplicates = [f for f in found if "byte for byte" in f.what]
    assert [f.where for f in duplicates] == ["trainB"]
    assert "3 byte for byte" in duplicates[0].what
    assert len(duplicates[0].files) == 3
    gray = {
        f.where: f.files for f in found if f.what == "gray images among color images"
    }
    assert {f"trainB/n02391049_{i}.jpg" for i in (226, 2341, 2361, 2757)} < set(
        gray["trainB"]
    )
    near = {f.where: f.files for f in found if "nearly" in f.what}
    assert near["trainA and testA"] == (
        "testA/n02381460_5500.jpg ~ trainA/n02381460_2967.jpg",
    )
    assert len(near["trainA"]) == 2 and len(near["testA"]) == 1
    assert {f.severity for f in found} == {"warning"}
