"""The options of a training, as frozen dataclasses.

A field defines the name, type, default and help text of an option once: for the
command line, for `config.json` in a run folder and for Python. The options of other
commands are in the `options.py` of their folders.
"""

import dataclasses
import math
import pathlib
import re
from typing import Annotated, ClassVar, Literal, TypeAlias

import tyro

from cyclegan_tf._shared.errors import InputError, check_positive
from cyclegan_tf.config.directions import DIRECTIONS
from cyclegan_tf.models.choices import (
    AdversarialLossName,
    DiscriminatorKind,
    Downsampling,
    GeneratorKind,
    Initializer,
    Norm,
    Padding,
    Upsampling,
)

Method = Literal["cyclegan", "pix2pix", "cut"]
Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
Preprocess = Literal[
    "resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none"
]


# The names of data sets such as horse2zebra and monet2photo_small.
_A_TO_B = re.compile(r"([^\W\d_]+)2([^\W\d_]+)(?![^\W_])")


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
    """The training images and their preparation.

    Attributes:
        data: A folder with trainA, trainB and optionally testA, testB (image folders,
            or text files such as trainA.txt with one path per line); or tfds:NAME, such
            as tfds:cycle_gan/horse2zebra; or demo. A is domain X, B is domain Y. For
            any two folders, use data_x and data_y.
        data_x: Instead of data: a folder of images of domain X. Its name becomes the
            name of the domain. A tenth of its images, at least two, is kept for tests.
        data_y: The folder of images of domain Y.
        data_dir: Folder of TensorFlow Datasets, if not its default.
        direction: BtoA makes B domain X and A domain Y.
        preprocess: resize_and_crop: resize to load_size x load_size, then crop. crop:
            crop only. scale_width: resize to load_size pixels wide.
            scale_width_and_crop: then crop. none: keep the size. scale_width and none
            round the sides to multiples that the generator takes.
        load_size: Side, or width, of an image after the resize, in pixels.
        crop_size: Side of the random crop, in pixels.
        flip: Mirror half of the training images at random.
        jitter_while_decaying: Crop at random while the learning rate decays, too. If
            not, images are then resized to crop_size, as in CUT.
        max_images: Most images to use from each of trainA, trainB, testA and testB.
        channels_x: Channels of domain X: 3 for color, 1 for gray.
        channels_y: Channels of domain Y.
        paired_test: testA and testB show the same scenes in the same order, so scores
            compare translations with the truth. Always the case for demo.
        cache_gb: Gigabytes of memory for decoded images. Images that do not fit are
            decoded again whenever they are used.
    """

    data: str = ""
    data_dir: pathlib.Path | None = None
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    preprocess: Preprocess = "resize_and_crop"
    load_size: int = 286
    crop_size: int = 256
    flip: bool = True
    jitter_while_decaying: bool = True
    max_images: int | None = None
    channels_x: Literal[1, 3] = 3
    channels_y: Literal[1, 3] = 3
    paired_test: bool = False
    cache_gb: float = 4.0
    data_x: pathlib.Path | None = None
    data_y: pathlib.Path | None = None

    @property
    def name(self) -> str:
        """The images in words, for messages."""
        return self.data or f"{self.data_x} and {self.data_y}"

    @property
    def domain_names(self) -> tuple[str, str]:
        """The names of X and Y: those of their folders, or `"X"` and `"Y"`.

        A data set such as horse2zebra names both.
        """
        if self.data_x and self.data_y:
            return self.data_x.absolute().name, self.data_y.absolute().name
        if self.data == "demo":
            return "plain", "striped"
        if not (match := _A_TO_B.match(pathlib.PurePath(self.data).name)):
            return "X", "Y"
        a, b = match.groups()
        return (b, a) if self.direction == "BtoA" else (a, b)

    def translates(self, direction: str) -> str:
        """Say what a generator turns into what, such as `"horse to zebra"`.

        Args:
            direction: `"g"` or `"f"`.
        """
        return DIRECTIONS[direction].translates(self.domain_names)

    def check(self) -> None:
        """Check that the images are named in one way.

        Raises:
            InputError: if they are not named, or in two ways.
        """
        both = self.data_x is not None and self.data_y is not None
        if self.data and (self.data_x or self.data_y):
            raise InputError(
                f"`data={self.data}` names the images of both domains; leave it out, "
                "or leave out `data_x` and `data_y`."
            )
        if not self.data and not both:
            raise InputError(
                "Nothing names the images; give `data`, or both `data_x` and `data_y`."
            )
        if both and self.direction == "BtoA":
            raise InputError(
                f"`data_x={self.data_x}` is domain X; leave out `direction=BtoA`."
            )

    @property
    def training_size(self) -> int | None:
        """Side in pixels that whole images are scaled to; `None` if they keep theirs.

        Crops of them show textures at the same scale.
        """
        return None if self.preprocess in ("crop", "none") else self.load_size


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The generators and discriminators; the defaults are the reference's.

    Attributes:
        generator: Architecture of both generators; mobile_resnet is GAN Compression's.
        filters: Filters of the first layer of a resnet or unet.
        num_residual_blocks: Residual blocks of a resnet; the paper uses 6 for 128x128.
        num_levels: Downsamplings in a unet: 8 for 256x256, 7 for 128x128.
        mobile_filters: Filters of a mobile_resnet: first layer, two down, two up.
        mobile_block_filters: Filters inside each residual block of a mobile_resnet.
        dropout: Dropout rate of the generators.
        downsampling: Downsampling in ResNets and PatchGANs; antialiased blurs first, as
            CUT does.
        upsampling: Upsampling in the generators; nearest, bilinear and antialiased (as
            in CUT) avoid checkerboard patterns.
        discriminator: Architecture of both discriminators.
        discriminator_filters: Filters of the first layer of a discriminator.
        num_layers: Depth of a patchgan, 1 to 5; 3 judges patches of 70x70 pixels.
        norm: Normalization in all networks; instance_affine learns scale and offset, as
            TensorFlow Addons does.
        norm_epsilon: Epsilon added to the variance by the normalization.
        padding: Padding of strided convolutions: symmetric (PyTorch) or same (Keras).
        initializer: Initial weights of the convolutions: normal is CycleGAN's N(0,
            0.02), xavier is CUT's, Xavier with gain 0.02.
        init_from: Start from the networks in this folder: a PyTorch checkpoint, a
            result of cyclegan import, or a run; or from a model that cyclegan models
            lists. Their architecture replaces the options above; missing networks start
            new.
    """

    generator: GeneratorKind = "resnet"
    filters: int = 64
    num_residual_blocks: int = 9
    num_levels: int = 8
    mobile_filters: tuple[int, ...] = (16, 32, 128, 32, 16)
    mobile_block_filters: tuple[int, ...] = (64, 64, 64, 128, 128, 128, 128, 128, 128)
    dropout: float = 0.0
    downsampling: Downsampling = "strided"
    upsampling: Upsampling = "transpose"
    discriminator: DiscriminatorKind = "patchgan"
    discriminator_filters: int = 64
    num_layers: int = 3
    norm: Norm = "instance"
    norm_epsilon: float = 1e-5
    padding: Padding = "symmetric"
    initializer: Initializer = "normal"
    init_from: Annotated[
        pathlib.Path | None, tyro.conf.arg(aliases=("--pretrained",))
    ] = None


@dataclasses.dataclass(frozen=True)
class CycleGANObjective:
    """Unpaired translation both ways, as in CycleGAN.

    Attributes:
        method: The training method.
        adversarial_loss: Loss between generator and discriminator: lsgan (least
            squares), bce (log-likelihood), hinge, or wgan-gp (Wasserstein distance with
            a gradient penalty).
        cycle_weight: Weight of both cycle losses.
        identity_weight: Weight of both identity losses; 0 skips them.
        pool_size: Earlier translations kept to train the discriminators; 0 for none.
    """

    takes_pairs: ClassVar[bool] = False

    method: Method = "cyclegan"
    adversarial_loss: AdversarialLossName = "lsgan"
    cycle_weight: float = 10.0
    identity_weight: float = 5.0
    pool_size: int = 50


@dataclasses.dataclass(frozen=True)
class Pix2PixObjective:
    """Translation that learns from pairs, as in pix2pix.

    Attributes:
        method: The training method.
        adversarial_loss: Loss between generator and discriminator: lsgan (least
            squares), bce (log-likelihood), hinge, or wgan-gp (Wasserstein distance with
            a gradient penalty).
        l1_weight: Weight of the distance to the paired image.
        inference_norm: image: a saved generator normalizes each image by itself, and
            has no dropout. running: it uses the running statistics of batch norms.
    """

    takes_pairs: ClassVar[bool] = True
    pool_size: ClassVar[int] = 0

    method: Method = "pix2pix"
    adversarial_loss: AdversarialLossName = "bce"
    l1_weight: float = 100.0
    inference_norm: Literal["image", "running"] = "image"


@dataclasses.dataclass(frozen=True)
class CUTObjective:
    """Unpaired translation one way by contrast of patches, as in CUT and FastCUT.

    Attributes:
        method: The training method.
        adversarial_loss: Loss between generator and discriminator: lsgan (least
            squares), bce (log-likelihood), hinge, or wgan-gp (Wasserstein distance with
            a gradient penalty).
        nce_weight: Weight of the contrast.
        nce_identity: Also contrast images of Y with their translations, which keeps
            colors.
        flip_equivariance: Mirror half of the batches before the generator, and the
            features back.
        temperature: Temperature of the contrast.
        num_patches: Patches that each image is compared in.
    """

    takes_pairs: ClassVar[bool] = False
    pool_size: ClassVar[int] = 0

    method: Method = "cut"
    adversarial_loss: AdversarialLossName = "lsgan"
    nce_weight: float = 1.0
    nce_identity: bool = True
    flip_equivariance: bool = False
    temperature: float = 0.07
    num_patches: int = 256


Objective: TypeAlias = CycleGANObjective | Pix2PixObjective | CUTObjective


@dataclasses.dataclass(frozen=True)
class OptimizationConfig:
    """The training: batches, schedule, optimizer, precision and devices.

    Attributes:
        batch_size: Images of each domain per training step, over all devices.
        accumulate: Update the weights every N steps with the mean gradient: a batch N
            times as large in the memory of one step.
        constant_epochs: Epochs at the full learning rate.
        decay_epochs: Epochs of linear decay towards 0 after that.
        learning_rate: Learning rate of Adam.
        beta_1: Adam's decay of the first moment.
        beta_2: Adam's decay of the second moment.
        epsilon: Adam's epsilon.
        ema: Decay of a moving average of the generators' weights, such as 0.999. The
            averages are what is validated and saved as generators. 0 for no average.
        precision: Keras dtype policy of the networks; auto: mixed_bfloat16 if the
            hardware multiplies it, else float32.
        strategy: single: one device. mirrored: all visible GPUs. multi-worker: all GPUs
            of all processes in the environment variable TF_CONFIG.
        jit_compile: Compile the networks with XLA.
        remat: Recompute the activations inside residual blocks for the gradient instead
            of keeping them: less memory, more time.
        deterministic: Use deterministic operations: slower, but the same seed gives the
            same weights.
        seed: Seed of the initial weights, image order, augmentation and image pools.
    """

    batch_size: int = 1
    accumulate: int = 1
    constant_epochs: int = 100
    decay_epochs: int = 100
    learning_rate: Annotated[float, tyro.conf.arg(aliases=("--lr",))] = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-8
    ema: float = 0.0
    precision: Literal["auto", Precision] = "float32"
    strategy: Literal["single", "mirrored", "multi-worker"] = "single"
    jit_compile: bool = False
    remat: bool = False
    deterministic: bool = False
    seed: int = 0

    @property
    def epochs(self) -> int:
        return self.constant_epochs + self.decay_epochs


@dataclasses.dataclass(frozen=True)
class RecordConfig:
    """Checkpoints, samples, scores and the watchdog.

    Attributes:
        checkpoint_minutes: Longest time between checkpoints, in minutes; each epoch
            also saves one.
        validation_images: Test images of each domain for the validation losses after
            each epoch.
        sample_images: Test images of each domain in the sample picture of each epoch.
        evaluate_every: Score translations of test images every N epochs, as cyclegan
            evaluate does; 0 for never.
        features: Features for the scores: random, inception, or the path of a
            SavedModel.
        features_weights: Weights file of inception, instead of Keras's download.
        keep_best: Score of the epoch to keep in best/: loss is the validation loss (the
            cycle losses of CycleGAN), the others are means over the directions.
        watchdog: Look for signs of a failing training after each epoch: warn, stop at
            the first sign, or off. A loss that is not finite always stops the training.
    """

    checkpoint_minutes: float = 10.0
    validation_images: int = 16
    sample_images: int = 4
    evaluate_every: int = 0
    features: str = "random"
    features_weights: pathlib.Path | None = None
    keep_best: Literal["loss", "fid", "kid", "swd", "hit_rate"] = "loss"
    watchdog: Literal["warn", "stop", "off"] = "warn"


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Train a CycleGAN, pix2pix or CUT."""

    dataset: DatasetConfig
    networks: NetworkConfig = NetworkConfig()
    objective: Objective = CycleGANObjective()
    optimization: OptimizationConfig = OptimizationConfig()
    record: RecordConfig = RecordConfig()

    def check(self) -> None:
        """Check the names of the images and the ranges of the numbers.

        Raises:
            InputError: if the images are not named in one way, or a number is out of
                its range.
        """
        self.dataset.check()
        for field in dataclasses.fields(self):
            for name, value in vars(getattr(self, field.name)).items():
                if isinstance(value, float) and not math.isfinite(value):
                    raise InputError(
                        f"`{name}` must be a finite number, not {value}, which "
                        "config.json cannot store."
                    )
        check_positive(
            load_size=self.dataset.load_size,
            crop_size=self.dataset.crop_size,
            max_images=self.dataset.max_images,
            batch_size=self.optimization.batch_size,
            accumulate=self.optimization.accumulate,
            validation_images=self.record.validation_images,
            sample_images=self.record.sample_images,
        )
        if not 0 <= self.optimization.ema < 1:
            raise InputError(
                "`ema` must be at least 0 and less than 1, not "
                f"{self.optimization.ema}."
            )
        if self.optimization.epochs < 1:
            raise InputError(
                "The training needs at least 1 epoch, not "
                f"{self.optimization.epochs}; raise `constant_epochs`."
            )
        # `method` has chosen the class; a resumed run may ask for another.
        if self.objective.method != type(self.objective).method:
            raise InputError(
                f"The options are those of {type(self.objective).method}, not of "
                f"`method={self.objective.method}`; start a new run for another method."
            )
        record = self.record
        if record.evaluate_every < 0:
            raise InputError(
                f"`evaluate_every` must be at least 0, not {record.evaluate_every}."
            )
        if record.keep_best != "loss" and not record.evaluate_every:
            raise InputError(
                f"`keep_best={record.keep_best}` needs that score; measure it with "
                "`evaluate_every=5`, for example."
            )
