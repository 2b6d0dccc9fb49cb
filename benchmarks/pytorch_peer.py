"""CycleGAN in PyTorch, to compare with: a training step, and a translation.

Under autocast for half precision, on the GPU if there is one. Written anew from the
paper and the published defaults of the authors' code; `tests/test_benchmarks.py` holds
it to the losses and weights of our own step.
"""

import itertools
import random
from collections.abc import Callable

import numpy as np
import torch
from measuring import random_images
from torch import nn
from torch_networks import PatchGAN, ResNet

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AUTOCAST = {
    "float32": None,
    "mixed_bfloat16": torch.bfloat16,
    # Without the scaling of losses, which training needs: a little faster than with it.
    "mixed_float16": torch.float16,
}
# Tensor cores want the channels last. On a processor that is slower for these networks,
# because instance norms work on one channel after the other.
LAYOUT = torch.channels_last if DEVICE == "cuda" else torch.contiguous_format


def training(size: int, precision: str) -> Callable[[], dict[str, float]]:
    """Prepare the training step of the reference's default options.

    Args:
        size: pixels a side.
        precision: a key of `AUTOCAST`.

    Returns:
        The step; it returns the losses.
    """
    step = tensor_step(generator, size, precision)
    return lambda: {name: loss.item() for name, loss in step().items()}


def tensor_step(
    make_generator: Callable[[], nn.Module],
    size: int,
    precision: str,
    batch_size: int = 1,
    compiled: bool = False,
) -> Callable[[], dict[str, torch.Tensor]]:
    """Prepare a training step that does not wait for the device.

    Args:
        make_generator: makes each of the two generators.
        size: pixels a side.
        precision: a key of `AUTOCAST`.
        batch_size: images of each domain.
        compiled: compile the networks by `torch.compile`.

    Returns:
        The step; it returns the losses as tensors on the device.
    """
    torch.manual_seed(0)
    networks = [make_generator(), make_generator(), PatchGAN(64, 3), PatchGAN(64, 3)]
    for network in networks:
        network.apply(initialize)
        if compiled:
            network.compile()
    model = CycleGAN(*networks, autocast=AUTOCAST[precision])
    images = [on_device(batch) for batch in random_images(size, batch_size)]
    return lambda: model.tensor_step(*images)


def translation(size: int) -> Callable[[], None]:
    """Prepare the translation of one image by the default generator."""
    network = generator().to(DEVICE, memory_format=LAYOUT)
    image = np.round((random_images(size)[0] + 1) * 127.5).astype(np.uint8)

    @torch.inference_mode()
    def run() -> None:
        translated = network(on_device(image).float() / 127.5 - 1)
        pixels = ((translated + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        pixels.permute(0, 2, 3, 1).cpu().numpy()

    return run


class CycleGAN:
    """Four networks, two optimizers, two pools.

    Args:
        generator_g: X to Y.
        generator_f: Y to X.
        discriminator_x: judges images of X.
        discriminator_y: judges images of Y.
        cycle_weight: weight of both cycle losses.
        identity_weight: weight of both identity losses.
        pool_size: translated images kept for the discriminators.
        epsilon: Adam's.
        autocast: the type to compute in what PyTorch holds fit for it.
    """

    def __init__(
        self,
        generator_g: nn.Module,
        generator_f: nn.Module,
        discriminator_x: nn.Module,
        discriminator_y: nn.Module,
        *,
        cycle_weight: float = 10.0,
        identity_weight: float = 5.0,
        pool_size: int = 50,
        epsilon: float = 1e-8,
        autocast: torch.dtype | None = None,
    ):
        layout = {"device": DEVICE, "memory_format": LAYOUT}
        self.generator_g = generator_g.to(**layout)
        self.generator_f = generator_f.to(**layout)
        self.discriminator_x = discriminator_x.to(**layout)
        self.discriminator_y = discriminator_y.to(**layout)
        self.cycle_weight = cycle_weight
        self.identity_weight = identity_weight
        self.pool_x, self.pool_y = ImagePool(pool_size), ImagePool(pool_size)
        self.generator_optimizer = _adam(generator_g, generator_f, epsilon)
        self.discriminator_optimizer = _adam(discriminator_x, discriminator_y, epsilon)
        self.autocast = autocast

    def step(self, real_x: torch.Tensor, real_y: torch.Tensor) -> dict[str, float]:
        """Update the generators, then the discriminators; return all losses."""
        losses = self.tensor_step(real_x, real_y)
        return {name: loss.item() for name, loss in losses.items()}

    def tensor_step(
        self, real_x: torch.Tensor, real_y: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Do the same without waiting for the losses."""
        self._learn_discriminators(False)
        with self._precision():
            fake_x, fake_y, generator_losses = self._judge_generators(real_x, real_y)
        self.generator_optimizer.zero_grad()
        generator_losses["generator_loss"].backward()
        self.generator_optimizer.step()

        self._learn_discriminators(True)
        with self._precision():
            discriminator_losses = {
                "discriminator_x_loss": _discriminator_loss(
                    self.discriminator_x, real_x, self.pool_x.exchange(fake_x)
                ),
                "discriminator_y_loss": _discriminator_loss(
                    self.discriminator_y, real_y, self.pool_y.exchange(fake_y)
                ),
            }
        self.discriminator_optimizer.zero_grad()
        sum(discriminator_losses.values()).backward()
        self.discriminator_optimizer.step()

        losses = generator_losses | discriminator_losses
        return {name: loss.detach() for name, loss in losses.items()}

    def _precision(self) -> torch.autocast:
        enabled = self.autocast is not None
        return torch.autocast(DEVICE, self.autocast, enabled=enabled)

    def _judge_generators(
        self, real_x: torch.Tensor, real_y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        fake_y, fake_x = self.generator_g(real_x), self.generator_f(real_y)
        cycled_x, cycled_y = self.generator_f(fake_y), self.generator_g(fake_x)
        same_x, same_y = self.generator_f(real_x), self.generator_g(real_y)
        losses = {
            "generator_g_loss": _distance_to(1.0, self.discriminator_y(fake_y)),
            "generator_f_loss": _distance_to(1.0, self.discriminator_x(fake_x)),
            "cycle_x_loss": _difference(cycled_x, real_x),
            "cycle_y_loss": _difference(cycled_y, real_y),
            "identity_x_loss": _difference(same_x, real_x),
            "identity_y_loss": _difference(same_y, real_y),
        }
        losses["generator_loss"] = (
            losses["generator_g_loss"]
            + losses["generator_f_loss"]
            + self.cycle_weight * (losses["cycle_x_loss"] + losses["cycle_y_loss"])
            + self.identity_weight
            * (losses["identity_x_loss"] + losses["identity_y_loss"])
        )
        return fake_x, fake_y, losses

    def _learn_discriminators(self, learn: bool) -> None:
        """Their gradients cost time, which the generators' update need not spend."""
        self.discriminator_x.requires_grad_(learn)
        self.discriminator_y.requires_grad_(learn)


class ImagePool:
    """The last translated images; half of the time an old one is returned."""

    def __init__(self, size: int):
        self.size = size
        self.images: list[torch.Tensor] = []

    def exchange(self, fakes: torch.Tensor) -> torch.Tensor:
        """Store or swap each image of a batch."""
        return torch.cat([self._exchange_one(fake) for fake in fakes.detach().split(1)])

    def _exchange_one(self, fake: torch.Tensor) -> torch.Tensor:
        if len(self.images) < self.size:
            self.images.append(fake)
            return fake
        if self.size == 0 or random.random() < 0.5:
            return fake
        slot = random.randrange(self.size)
        old, self.images[slot] = self.images[slot], fake
        return old


def generator() -> nn.Module:
    """The ResNet of nine blocks and 64 filters."""
    return ResNet((64, 128, 256, 128, 64), [256] * 9)


def initialize(module: nn.Module) -> None:
    """Give a convolution the start weights of the reference."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def on_device(images: np.ndarray) -> torch.Tensor:
    """Turn (batch, height, width, channels) into what the networks take."""
    channels_first = torch.from_numpy(images).permute(0, 3, 1, 2)
    return channels_first.to(DEVICE, memory_format=LAYOUT)


def _adam(first: nn.Module, second: nn.Module, epsilon: float) -> torch.optim.Adam:
    parameters = itertools.chain(first.parameters(), second.parameters())
    return torch.optim.Adam(parameters, 2e-4, (0.5, 0.999), epsilon)


def _discriminator_loss(
    discriminator: nn.Module, real: torch.Tensor, fake: torch.Tensor
) -> torch.Tensor:
    return 0.5 * (
        _distance_to(1.0, discriminator(real)) + _distance_to(0.0, discriminator(fake))
    )


def _distance_to(target: float, logits: torch.Tensor) -> torch.Tensor:
    """Return the least-squares loss of the adversarial game."""
    return _at_least_float32(logits).sub(target).square().mean()


def _difference(image: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    return (_at_least_float32(image) - real).abs().mean()


def _at_least_float32(x: torch.Tensor) -> torch.Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
