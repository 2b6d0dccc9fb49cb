"""The values of the options of networks and losses. Standard library only."""

from typing import Literal

AdversarialLossName = Literal["lsgan", "bce", "hinge", "wgan-gp"]
GeneratorKind = Literal["resnet", "mobile_resnet", "unet"]
DiscriminatorKind = Literal["patchgan", "pixel"]
Norm = Literal["instance", "instance_affine", "batch", "none"]
Padding = Literal["symmetric", "same"]
Downsampling = Literal["strided", "antialiased"]
Upsampling = Literal["transpose", "nearest", "bilinear", "antialiased"]
Initializer = Literal["normal", "xavier"]
