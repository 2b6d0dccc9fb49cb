"""Two ways from JPEG files to training images: ours, and Pillow and PyTorch's.

Both work through a folder on one core: decode, resize to 286x286, crop to 256x256,
mirror half of them, scale to [-1, 1].
"""

import os
import random
from collections.abc import Callable
from pathlib import Path

LOAD_SIZE, CROP_SIZE = 286, 256


def ours(folder: str) -> Callable[[str], int]:
    """Prepare our way.

    Args:
        folder: of JPEG files.

    Returns:
        A function of `"decode"`, `"resize"` (decode and resize), `"all"` or `"cached"`
        (all, from the second epoch on), which returns the number of images.
    """
    files = _on_one_core(folder)
    from cyclegan_tf.data.batches import training_batches
    from cyclegan_tf.data.domains import Domain
    from cyclegan_tf.data.preprocessing import Preprocessing
    from cyclegan_tf.data.sources import Source
    from cyclegan_tf.images import read_image

    preprocessing = Preprocessing("resize_and_crop", LOAD_SIZE, CROP_SIZE)
    sources = [Source(file.name, file) for file in files]
    # Batches of an image of each domain.
    anew, cached = (
        training_batches(domain, domain)
        for domain in (
            Domain(sources, preprocessing, cache_bytes=0),
            Domain(sources, preprocessing),
        )
    )

    def run(what: str) -> int:
        if what == "decode":
            for file in files:
                read_image(file)
        elif what == "resize":
            for file in files:
                preprocessing.resize(read_image(file))
        else:
            batches = anew if what == "all" else cached
            for _ in batches.take(len(files) // 2):
                pass
        return len(files)

    return run


def pytorch(folder: str) -> Callable[[str], int]:
    """Prepare the way of PyTorch's data sets: Pillow, then a tensor.

    Args:
        folder: of JPEG files.

    Returns:
        A function of `"decode"`, `"resize"` or `"all"`, which returns the number of
        images.
    """
    files = _on_one_core(folder)
    import numpy as np
    import PIL.Image
    import torch

    torch.set_num_threads(1)

    def run(what: str) -> int:
        for file in files:
            image = PIL.Image.open(file).convert("RGB")
            if what == "decode":
                continue
            image = image.resize((LOAD_SIZE, LOAD_SIZE), PIL.Image.Resampling.BICUBIC)
            if what == "resize":
                continue
            left, top = (random.randint(0, LOAD_SIZE - CROP_SIZE) for _ in range(2))
            image = image.crop((left, top, left + CROP_SIZE, top + CROP_SIZE))
            if random.random() < 0.5:
                image = image.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT)
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
            pixels.float().div(255).sub(0.5).div(0.5)
        return len(files)

    return run


def _on_one_core(folder: str) -> list[Path]:
    """Stay on one core, where the system lets us choose; list the files."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    return sorted(Path(folder).glob("*.jpg"))
