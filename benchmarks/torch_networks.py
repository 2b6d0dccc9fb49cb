"""The networks in PyTorch, with the keys that the public checkpoints have.

Written from the key tables, to compare with: what loads here with `strict=True` loads
in the code of the authors of CycleGAN and CUT and of GAN Compression. The tests of
weights use them, and the benchmarks; activations work in place where theirs do.
"""

import torch
from torch import nn
from torch.nn import functional


def norm_layer(norm, channels):
    """A normalization by its name in our networks."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "none":
        return nn.Identity()
    return InstanceNorm2d(channels, affine=norm == "instance_affine")


def has_bias(norm):
    """Whether the authors' code gives the convolutions before a norm biases."""
    return norm.startswith("instance")


class InstanceNorm2d(nn.InstanceNorm2d):
    """The instance norm of PyTorch, with the right gradient in channels_last, too.

    PyTorch 2.13 computes a wrong one on the CPU, without a warning, if the batch is a
    single image and the gradient that it is given is in channels_last.
    """

    def forward(self, x):
        normalized = super().forward(x)
        if normalized.requires_grad:
            normalized.register_hook(torch.Tensor.contiguous)
        return normalized


def binomial(taps, channels):
    """The same filter for each of the channels."""
    row = torch.tensor(taps)
    return (row[:, None] * row / 16).repeat(channels, 1, 1, 1)


class BlurDown(nn.Module):
    """Blur, then take every second pixel."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("filt", binomial([1.0, 2.0, 1.0], channels))

    def forward(self, x):
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(x, self.filt, stride=2, groups=len(self.filt))


class BlurUp(nn.Module):
    """Put zeros between the pixels, then blur."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("filt", binomial([1.0, 3.0, 3.0, 1.0], channels))

    def forward(self, x):
        x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        return functional.conv_transpose2d(
            x, self.filt, stride=2, padding=3, groups=len(self.filt)
        )


class ResidualBlock(nn.Module):
    """Two convolutions beside the identity, whole or separable ones."""

    def __init__(self, channels, inner, norm, dropout, mobile):
        super().__init__()
        bias = has_bias(norm)

        def convolve(before, after):
            if not mobile:
                return nn.Conv2d(before, after, 3, bias=bias)
            block = nn.Module()
            block.conv = nn.Sequential(
                nn.Conv2d(before, before, 3, groups=before, bias=bias),
                norm_layer(norm, before),
                nn.Conv2d(before, after, 1, bias=bias),
            )
            block.forward = block.conv.forward
            return block

        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            convolve(channels, inner),
            norm_layer(norm, inner),
            nn.ReLU(True),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1),
            convolve(inner, channels),
            norm_layer(norm, channels),
        )

    def forward(self, x):
        return x + self.conv_block(x)


class ResNet(nn.Module):
    """The ResNet generator, the mobile one of GAN Compression, and CUT's with blurs."""

    def __init__(
        self,
        filters,
        block_filters,
        norm="instance",
        dropout=False,
        mobile=False,
        channels=3,
        blurs_down=False,
        blurs_up=False,
    ):
        super().__init__()
        bias = has_bias(norm)
        stem, down_0, down_1, up_0, up_1 = filters

        def down(before, after):
            stride = 1 if blurs_down else 2
            yield nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=bias)
            yield from (norm_layer(norm, after), nn.ReLU(True))
            if blurs_down:
                yield BlurDown(after)

        def up(before, after):
            if blurs_up:
                yield BlurUp(before)
                yield nn.Conv2d(before, after, 3, padding=1, bias=bias)
            else:
                yield nn.ConvTranspose2d(
                    before, after, 3, stride=2, padding=1, output_padding=1, bias=bias
                )
            yield from (norm_layer(norm, after), nn.ReLU(True))

        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(channels, stem, 7, bias=bias),
            norm_layer(norm, stem),
            nn.ReLU(True),
            *down(stem, down_0),
            *down(down_0, down_1),
            *(
                ResidualBlock(down_1, inner, norm, dropout or mobile, mobile)
                for inner in block_filters
            ),
            *up(down_1, up_0),
            *up(up_0, up_1),
            nn.ReflectionPad2d(3),
            nn.Conv2d(up_1, channels, 7),
            nn.Tanh(),
        )

    def forward(self, x):
        return self.model(x)


class UNetLevel(nn.Module):
    """One level around the level inside it."""

    def __init__(self, outer, inner, submodule, norm, outermost=False, channels=3):
        super().__init__()
        bias = has_bias(norm)
        self.outermost = outermost
        before = channels if outermost else outer
        down = nn.Conv2d(before, inner, 4, stride=2, padding=1, bias=bias)
        width = inner if submodule is None else 2 * inner
        up = nn.ConvTranspose2d(
            width, before, 4, stride=2, padding=1, bias=bias or outermost
        )
        if outermost:
            modules = [down, submodule, nn.ReLU(), up, nn.Tanh()]
        elif submodule is None:
            modules = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, norm_layer(norm, outer)]
        else:
            modules = [nn.LeakyReLU(0.2), down, norm_layer(norm, inner), submodule]
            modules += [nn.ReLU(), up, norm_layer(norm, outer)]
        self.model = nn.Sequential(*modules)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class UNet(nn.Module):
    """The U-Net generator."""

    def __init__(self, filters, num_levels, norm="instance", channels=3):
        super().__init__()
        widths = [filters * min(2**level, 8) for level in range(num_levels)]
        level = None
        for i in reversed(range(1, num_levels)):
            level = UNetLevel(widths[i - 1], widths[i], level, norm)
        self.model = UNetLevel(None, filters, level, norm, True, channels)

    def forward(self, x):
        return self.model(x)


class PatchGAN(nn.Module):
    """The discriminator of patches, and CUT's with blurs."""

    def __init__(
        self, filters, num_layers, norm="instance", channels=3, blurs_down=False
    ):
        super().__init__()
        bias = has_bias(norm)
        strides = 1 if blurs_down else 2
        modules = [nn.Conv2d(channels, filters, 4, strides, 1), nn.LeakyReLU(0.2, True)]
        before = filters
        for i in range(1, num_layers + 1):
            width = filters * min(2**i, 8)
            if blurs_down:
                modules.append(BlurDown(before))
            modules += [
                nn.Conv2d(
                    before, width, 4, strides if i < num_layers else 1, 1, bias=bias
                ),
                norm_layer(norm, width),
                nn.LeakyReLU(0.2, True),
            ]
            before = width
        self.model = nn.Sequential(*modules, nn.Conv2d(before, 1, 4, 1, 1))

    def forward(self, x):
        return self.model(x)


class PixelGAN(nn.Module):
    """The discriminator of pixels."""

    def __init__(self, filters, norm="instance", channels=3):
        super().__init__()
        bias = has_bias(norm)
        self.net = nn.Sequential(
            nn.Conv2d(channels, filters, 1),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(filters, 2 * filters, 1, bias=bias),
            norm_layer(norm, 2 * filters),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(2 * filters, 1, 1, bias=bias),
        )

    def forward(self, x):
        return self.net(x)
