"""The options of a training: frozen dataclasses, of the standard library alone.

A field gives an option its name, type, default and help text, once: the command
line, `config.json` in a run folder and the Python API all come from here. Options of
what is done with a trained run are in `options.py`.
"""

import dataclasses
import pathlib
from typing import Literal

from cyclegan_tf._shared.errors import InputError, check_positive
from cyclegan_tf.models.choices import (
    AdversarialLossName,
    DiscriminatorKind,
    GeneratorKind,
    Norm,
    Padding,
    Upsampling,
)


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
    """Which images to train on, and how they are prepared.

    Attributes:
        data: A folder with trainA and trainB (and testA, testB): folders of images, or
            text files trainA.txt, ... with a path per line; "tfds:NAME" such as
            tfds:cycle_gan/horse2zebra; or "demo", the built-in domains. A is X, B is Y.
        data_dir: Where TensorFlow Datasets keeps its data; its own default if not
            given.
        preprocess: resize_and_crop: resize to load_size x load_size, then crop. crop:
            crop only. scale_width: resize to load_size pixels wide.
            scale_width_and_crop: then crop. none: as they are. scale_width and none
            round the sides to what the generator takes.
        load_size: Pixels a side, or of the width, after the resize.
        crop_size: Pixels a side of the random crop.
        flip: Mirror half of the training images at random.
        max_images: Use at most so many images of each domain.
        channels_x: Channels of domain X: 3 for colour, 1 for gray.
        channels_y: Channels of domain Y.
        paired_test: testA and testB show the same scenes in the same order, so that
            translations can be scored against the truth. The demo's always do.
        cache_gb: Keep up to so many gigabytes of decoded images in memory; the rest is
            decoded anew each time.
    """

    data: str
    data_dir: pathlib.Path | None = None
    preprocess: Literal[
        "resize_and_crop", "crop", "scale_width", "scale_width_and_crop", "none"
    ] = "resize_and_crop"
    load_size: int = 286
    crop_size: int = 256
    flip: bool = True
    max_images: int | None = None
    channels_x: Literal[1, 3] = 3
    channels_y: Literal[1, 3] = 3
    paired_test: bool = False
    cache_gb: float = 4.0


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The generators and discriminators; the defaults are the reference's.

    Attributes:
        generator: Architecture of both generators. mobile_resnet is the small one of
            GAN Compression.
        filters: Filters of the first layer of a resnet or unet.
        num_residual_blocks: Residual blocks of a resnet; the paper takes 6 for 128x128.
        num_levels: Halvings in a unet: 8 for 256x256, 7 for 128x128.
        mobile_filters: Filters of a mobile_resnet: first layer, two down, two up.
        mobile_block_filters: Filters inside each residual block of a mobile_resnet.
        dropout: Dropout rate in the generators.
        upsampling: How a generator enlarges: nearest and bilinear avoid checkerboards.
        discriminator: Architecture of both discriminators.
        discriminator_filters: Filters of a discriminator's first layer.
        num_layers: Depth of a patchgan, 1 to 5; 3 judges patches of 70x70 pixels.
        norm: Normalization in all networks. instance_affine learns a scale and an
            offset, as TensorFlow Addons does.
        norm_epsilon: What the normalization adds to the variance.
        padding: Of strided convolutions: symmetric as in PyTorch, or same as in Keras.
        init_from: Start from the networks in this folder: a PyTorch checkpoint, what
            cyclegan import wrote, or another run. Their architecture replaces the
            options above; what the folder lacks starts new.
    """

    generator: GeneratorKind = "resnet"
    filters: int = 64
    num_residual_blocks: int = 9
    num_levels: int = 8
    mobile_filters: tuple[int, ...] = (16, 32, 128, 32, 16)
    mobile_block_filters: tuple[int, ...] = (64, 64, 64, 128, 128, 128, 128, 128, 128)
    dropout: float = 0.0
    upsampling: Upsampling = "transpose"
    discriminator: DiscriminatorKind = "patchgan"
    discriminator_filters: int = 64
    num_layers: int = 3
    norm: Norm = "instance"
    norm_epsilon: float = 1e-5
    padding: Padding = "symmetric"
    init_from: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class CycleGANObjective:
    """Unpaired translation both ways, as in CycleGAN.

    Attributes:
        method: The training method.
        adversarial_loss: The adversarial game.
        cycle_weight: Weight of both cycle losses.
        identity_weight: Weight of both identity losses; 0 skips them.
        pool_size: Translated images kept to train the discriminators on; 0 for no pool.
    """

    method: Literal["cyclegan"] = "cyclegan"
    adversarial_loss: AdversarialLossName = "lsgan"
    cycle_weight: float = 10.0
    identity_weight: float = 5.0
    pool_size: int = 50


@dataclasses.dataclass(frozen=True)
class OptimizationConfig:
    """How they are trained.

    Attributes:
        batch_size: Images of each domain in a training step, over all devices.
        accumulate: Update the weights after every so many steps only, with the mean of
            their gradients: as with a batch so many times as large, in the memory of
            one step.
        constant_epochs: Epochs at the full learning rate.
        decay_epochs: Epochs in which it then falls linearly towards 0.
        learning_rate: Learning rate of Adam.
        beta_1: Adam's decay of the first moment.
        beta_2: Adam's decay of the second moment.
        epsilon: Adam's epsilon.
        precision: Keras dtype policy of the networks. auto: mixed_bfloat16 where the
            hardware multiplies that, else float32.
        strategy: single: one device. mirrored: all visible GPUs. multi-worker: all GPUs
            of all processes that the environment variable TF_CONFIG names.
        jit_compile: Compile the training step with XLA.
        remat: Train in less memory: compute the inside of each residual block again for
            its gradient instead of keeping it.
        deterministic: Use deterministic operations: the same seed gives the same
            weights, slower.
        seed: Decides start weights, order of the images, augmentation and image pools.
    """

    batch_size: int = 1
    accumulate: int = 1
    constant_epochs: int = 100
    decay_epochs: int = 100
    learning_rate: float = 2e-4
    beta_1: float = 0.5
    beta_2: float = 0.999
    epsilon: float = 1e-8
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "float32"
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
    """What is kept of the run.

    Attributes:
        checkpoint_minutes: Save a checkpoint at least so often, besides the one after
            each epoch.
        validation_images: Test images of each domain for the validation losses after
            each epoch.
        sample_images: Test images of each domain in the picture of samples after each
            epoch.
        evaluate_every: Score the translations of test images after every so many
            epochs, as cyclegan evaluate does; 0 for never.
        features: What the scores compare images by: random, inception, or the path
            of a SavedModel.
        features_weights: The weights of inception, if Keras should not download them.
        keep_best: Which epoch to keep in best/, beside the newest: the one with the
            least validation loss (the cycle losses of CycleGAN), or with the best mean
            score of all directions.
        watchdog: After each epoch, look for signs of a failing training: warn of them,
            stop at the first, or off. A training whose losses are no longer finite is
            stopped by both.
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
    """Train a CycleGAN."""

    dataset: DatasetConfig
    networks: NetworkConfig = NetworkConfig()
    objective: CycleGANObjective = CycleGANObjective()
    optimization: OptimizationConfig = OptimizationConfig()
    record: RecordConfig = RecordConfig()

    def check(self) -> None:
        """Check the ranges of the numbers.

        Raises:
            InputError: if one is out of its range.
        """
        check_positive(
            load_size=self.dataset.load_size,
            crop_size=self.dataset.crop_size,
            max_images=self.dataset.max_images,
            batch_size=self.optimization.batch_size,
            accumulate=self.optimization.accumulate,
            validation_images=self.record.validation_images,
            sample_images=self.record.sample_images,
        )
        if self.optimization.epochs < 1:
            raise InputError(
                "The training needs at least 1 epoch, not "
                f"{self.optimization.epochs}; raise `constant_epochs`."
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
