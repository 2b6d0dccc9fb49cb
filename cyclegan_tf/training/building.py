"""Build the model that options describe; derive options from given networks."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf.config.options import (
    CUTObjective,
    CycleGANObjective,
    Method,
    NetworkConfig,
    OptimizationConfig,
    Pix2PixObjective,
    TrainConfig,
)
from cyclegan_tf.models.acceleration.adam import Adam
from cyclegan_tf.models.adversarial import AdversarialModel
from cyclegan_tf.models.cut import CUT
from cyclegan_tf.models.cyclegan import CycleGAN
from cyclegan_tf.models.networks.architecture import (
    DISCRIMINATORS,
    GENERATORS,
    Architecture,
)
from cyclegan_tf.models.networks.initializers import xavier_start
from cyclegan_tf.models.pix2pix import Pix2Pix
from cyclegan_tf.models.schedules import LinearDecay
from cyclegan_tf.pretrained.recognition import architecture_of

# The options of each architecture, and their names in the configuration, which are
# unique over generators and discriminators.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "resnet": {"filters": "filters", "num_residual_blocks": "num_residual_blocks"},
    "mobile_resnet": {
        "filters": "mobile_filters",
        "block_filters": "mobile_block_filters",
    },
    "unet": {"filters": "filters", "num_levels": "num_levels"},
    "patchgan": {"filters": "discriminator_filters", "num_layers": "num_layers"},
    "pixel": {"filters": "discriminator_filters"},
}
_FIELDS_OF_ALL = ("norm", "norm_epsilon")
_FIELDS_OF_GENERATORS = ("dropout", "upsampling")
_FIELDS_OF_STRIDED = ("padding", "downsampling")
_STRIDED = ("resnet", "mobile_resnet", "patchgan")


# The model of each method.
MODELS: Mapping[Method, type[AdversarialModel]] = {
    "cyclegan": CycleGAN,
    "pix2pix": Pix2Pix,
    "cut": CUT,
}


def build_model(config: TrainConfig) -> AdversarialModel:
    """Build the model that a configuration describes, not compiled.

    The type of the objective selects the method.

    Raises:
        InputError: if the options contradict one another.
    """
    objective, seed = config.objective, config.optimization.seed
    x, y = config.dataset.channels_x, config.dataset.channels_y

    def started(network: keras.Model) -> keras.Model:
        is_xavier = config.networks.initializer == "xavier"
        return xavier_start(network) if is_xavier else network

    def generator(direction: str, input_channels: int, output_channels: int) -> Any:
        architecture = generator_architecture(
            config.networks, input_channels, output_channels
        )
        return started(architecture.build(f"generator_{direction}"))

    def discriminator(domain: str, channels: int) -> Any:
        architecture = discriminator_architecture(config.networks, channels)
        return started(architecture.build(f"discriminator_{domain}"))

    try:
        with _dtype_policy(config.optimization.precision):
            match objective:
                case CycleGANObjective():
                    return CycleGAN(
                        generator("g", x, y),
                        generator("f", y, x),
                        discriminator("x", x),
                        discriminator("y", y),
                        cycle_weight=objective.cycle_weight,
                        identity_weight=objective.identity_weight,
                        pool_size=objective.pool_size,
                        seed=seed,
                    )
                case Pix2PixObjective():
                    return Pix2Pix(
                        generator("g", x, y),
                        discriminator("y", x + y),
                        l1_weight=objective.l1_weight,
                        inference_norm=objective.inference_norm,
                        seed=seed,
                    )
                case CUTObjective():
                    return CUT(
                        generator("g", x, y),
                        discriminator("y", y),
                        nce_weight=objective.nce_weight,
                        nce_identity=objective.nce_identity,
                        flip_equivariance=objective.flip_equivariance,
                        temperature=objective.temperature,
                        num_patches=objective.num_patches,
                        seed=seed,
                    )
    except ValueError as e:
        raise InputError(str(e)) from e


def compile_model(model: AdversarialModel, config: TrainConfig) -> None:
    """Compile a model with the options of a configuration.

    The learning rate is that of the first epoch; `epoch_rates` has the others.

    Raises:
        InputError: if the options do not work with the networks.
    """
    options = config.optimization

    def adam(name: str, average_decay: float = 0.0) -> keras.optimizers.Optimizer:
        # Keras takes None for no accumulation.
        accumulate = options.accumulate if options.accumulate > 1 else None
        return Adam(
            options.learning_rate,
            options.beta_1,
            options.beta_2,
            options.epsilon,
            average_decay=average_decay,
            gradient_accumulation_steps=accumulate,
            name=name,
        )

    try:
        model.compile(
            adam("generators", options.ema),
            adam("discriminators"),
            config.objective.adversarial_loss,
            jit_compile=options.jit_compile,
            remat=options.remat,
        )
    except ValueError as e:
        raise InputError(str(e)) from e


def epoch_rates(options: OptimizationConfig) -> Callable[[int], float]:
    """Return the function from an epoch, counted from 0, to its learning rate."""
    decay = LinearDecay(
        options.learning_rate,
        steps_per_epoch=1,
        constant_epochs=options.constant_epochs,
        decay_epochs=options.decay_epochs,
    )
    return lambda epoch: float(decay(epoch))


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Build layers under a dtype policy, which is a global setting of Keras."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def generator_architecture(
    options: NetworkConfig, input_channels: int, output_channels: int
) -> Architecture:
    """Return the architecture of a generator."""
    channels = {
        "image_shape": (None, None, input_channels),
        "output_channels": output_channels,
    }
    return Architecture(
        options.generator, channels | _options(options, options.generator)
    )


def discriminator_architecture(options: NetworkConfig, channels: int) -> Architecture:
    """Return the architecture of a discriminator."""
    return Architecture(
        options.discriminator,
        {"image_shape": (None, None, channels)}
        | _options(options, options.discriminator),
    )


def adopt_networks(
    config: TrainConfig, networks: Mapping[str, keras.Model]
) -> TrainConfig:
    """Change a configuration so that it describes the networks to start from.

    Args:
        config: all options.
        networks: some of the model's networks, by name.

    Raises:
        InputError: if one is not of `cyclegan_tf.models.networks`, or they do not
            belong together.
    """
    adopted: dict[str, tuple[str, Any]] = {}  # field: (network, value)
    for name, network in networks.items():
        if name == "heads":  # they follow from the generator
            continue
        fields = _fields(name, network)
        if name == "discriminator_y" and config.objective.takes_pairs:
            del fields["channels_y"]  # it also takes the image of X
        for field, value in fields.items():
            other, other_value = adopted.setdefault(field, (name, value))
            if other_value != value:
                raise InputError(
                    f"The networks of {config.networks.init_from} do not belong "
                    f"together: {other} has {field}={other_value}, but {name} has "
                    f"{field}={value}; use a folder from one training."
                )
    values = {field: value for field, (_, value) in adopted.items()}
    channels = {
        field: values.pop(field) for field in list(values) if "channels" in field
    }
    return dataclasses.replace(
        config,
        networks=dataclasses.replace(config.networks, **values),
        dataset=dataclasses.replace(config.dataset, **channels),
    )


def _options(options: NetworkConfig, kind: str) -> dict[str, Any]:
    return {
        option: getattr(options, field) for option, field in _named_fields(kind).items()
    }


def _named_fields(kind: str) -> dict[str, str]:
    """Map each option of an architecture, except the channels, to its field."""
    same = list(_FIELDS_OF_ALL)
    if kind in GENERATORS:
        same += _FIELDS_OF_GENERATORS
    if kind in _STRIDED:
        same += _FIELDS_OF_STRIDED
    return {**_FIELDS[kind], **{field: field for field in same}}


def _fields(name: str, network: keras.Model) -> dict[str, Any]:
    """Return the fields that describe one network, and the domains' channels."""
    role, which = name.split("_")
    architecture = architecture_of(network)
    kinds = GENERATORS if role == "generator" else DISCRIMINATORS
    if architecture is None or architecture.kind not in kinds:
        raise InputError(
            f"The {name} to start from is not a {role} of cyclegan_tf.models.networks, "
            "so it cannot be trained here; leave it out of the folder."
        )
    options = architecture.options
    domains = {"g": ("x", "y"), "f": ("y", "x"), "x": ("x",), "y": ("y",)}[which]
    channels = (options["image_shape"][-1], options.get("output_channels"))
    for number in channels[: len(domains)] if role == "generator" else ():
        if number not in (1, 3):
            raise InputError(
                f"The {name} to start from has images of {number} channels, but "
                "training takes images of 1 or 3; leave it out of the folder."
            )
    return {
        role: architecture.kind,
        **{
            field: options[option]
            for option, field in _named_fields(architecture.kind).items()
        },
        **{f"channels_{domain}": n for domain, n in zip(domains, channels)},
    }
