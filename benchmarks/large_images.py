"""Peak memory and time of `cyclegan translate --tile` as the image grows.

    python benchmarks/large_images.py [tiny|resnet9 ...]

Each translation runs in a process of its own, one after the other, on a JPEG file and
into one. Appends a table for each generator to RESULTS.md beside this file. The tiny
one goes up to 100 megapixels; the other is the ResNet-9 of the reference.
"""

import json
import pathlib
import sys
import tempfile

import measuring
import pyvips

TILE = 512
# Filters and residual blocks, then megapixels in tiles, then at once.
GENERATORS = {
    "tiny": ("4, 1", (1, 4, 16, 64, 100), (1, 4, 16)),
    "resnet9": ("64, 9", (1, 4, 16), (1, 4)),
}

MAKE = """
import sys
import cyclegan_tf
filters, blocks = sys.argv[2].split(",")
cyclegan_tf.resnet_generator(int(filters), int(blocks)).save(sys.argv[1])
"""
MEASURE = """
import json, resource, sys, time
import tensorflow
from cyclegan_tf.cli.main import main
start = time.perf_counter()
assert main(sys.argv[1:]) == 0
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": time.perf_counter() - start, "bytes": peak}))
"""


def make_image(path, megapixels):
    """Write a square image of waves in three colours."""
    side = round((megapixels * 1e6) ** 0.5)
    waves = [
        pyvips.Image.sines(side, side, hfreq=side / 50, vfreq=side / length)
        for length in (30, 70, 110)
    ]
    image = ((waves[0].bandjoin(waves[1:]) + 1) * 127.5).cast("uchar")
    image.copy(interpretation="srgb").jpegsave(str(path), Q=90)


def measure(name, folder):
    """Return the rows of one generator."""
    size, in_tiles, at_once = GENERATORS[name]
    generator = folder / f"{name}.keras"
    measuring.run_python("-c", MAKE, generator, size)
    rows = []
    for megapixels in in_tiles:
        image = folder / f"{megapixels}.jpg"
        make_image(image, megapixels)
        cells = [f"{megapixels}"]
        for tile in (["--tile", TILE], []):
            if tile or megapixels in at_once:
                options = ["--overwrite", "--size", "full", "--out", folder / "out"]
                options += tile
                line = measuring.run_python(
                    *("-c", MEASURE, "translate", generator, image),
                    *options,
                )
                run = json.loads(line)
                cells += [f"{run['bytes'] / 1e9:.2f} GB", f"{run['seconds']:.0f} s"]
            else:
                cells += ["", ""]
        rows.append(cells)
        print(*cells, flush=True)
    return rows


def main():
    """Measure, and append the results."""
    machine = measuring.machine()
    for name in sys.argv[1:] or GENERATORS:
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(name, pathlib.Path(folder))
        filters, blocks = GENERATORS[name][0].split(", ")
        measuring.append(
            f"Large images, ResNet of {blocks} blocks, {filters} filters",
            machine,
            f"Tiles of {TILE} pixels. Peak memory of the process, mapped files "
            "included, and time after TensorFlow's import, one run each.",
            [("megapixels", "in tiles", "", "at once", ""), *rows],
        )


if __name__ == "__main__":
    main()
