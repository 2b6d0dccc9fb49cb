"""State dicts of real PyTorch networks become networks here, and go back."""

import numpy as np
import pytest
import torch
import torch_networks

import cyclegan_tf
from cyclegan_tf.models.networks.architecture import Architecture
from cyclegan_tf.pretrained.pytorch.weights import (
    find_architecture,
    network_from_state_dict,
    state_dict_of,
)
from cyclegan_tf.pretrained.recognition import architecture_of

WIDTHS = (2, 4, 8, 4, 2)
MOBILE = (3, 6, 8, 5, 4)
NORMS = ["instance", "batch", "none"]

# Name: the PyTorch network of a norm, and what of it must be found.
CASES = {
    "resnet_9": (
        lambda norm: torch_networks.ResNet(WIDTHS, [8] * 9, norm),
        ("resnet", {"filters": 2, "num_residual_blocks": 9}),
    ),
    "resnet_6_dropout": (
        lambda norm: torch_networks.ResNet(WIDTHS, [8] * 6, norm, dropout=True),
        ("resnet", {"num_residual_blocks": 6, "dropout": 0.5}),
    ),
    "resnet_gray": (
        lambda norm: torch_networks.ResNet(WIDTHS, [8], norm, channels=1),
        ("resnet", {"image_shape": (None, None, 1), "output_channels": 1}),
    ),
    "mobile": (
        lambda norm: torch_networks.ResNet(MOBILE, [3, 7, 2], norm, mobile=True),
        ("mobile_resnet", {"filters": MOBILE, "block_filters": (3, 7, 2)}),
    ),
    "unet_256": (
        lambda norm: torch_networks.UNet(2, 8, norm),
        ("unet", {"filters": 2, "num_levels": 8}),
    ),
    "unet_64_gray": (
        lambda norm: torch_networks.UNet(2, 6, norm, channels=1),
        ("unet", {"num_levels": 6, "output_channels": 1}),
    ),
    "patchgan_1": (
        lambda norm: torch_networks.PatchGAN(3, 1, norm),
        ("patchgan", {"filters": 3, "num_layers": 1}),
    ),
    "patchgan_5": (
        lambda norm: torch_networks.PatchGAN(3, 5, norm, channels=1),
        ("patchgan", {"num_layers": 5, "image_shape": (None, None, 1)}),
    ),
    "pixel": (
        lambda norm: torch_networks.PixelGAN(3, norm),
        ("pixel", {"filters": 3}),
    ),
}


def randomized(module, seed=0):
    """Give every tensor of a module values of some size, statistics too."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if tensor.dtype == torch.float32:
            values = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                values = values.abs() + 0.5
            elif tensor.ndim == 4:  # neither grow nor fade, whatever the norm
                values /= tensor[0].numel() ** 0.5
            tensor.copy_(values)
    return module.eval()


def arrays(module):
    return {key: tensor.numpy() for key, tensor in module.state_dict().items()}


@pytest.fixture(params=NORMS)
def norm(request):
    return request.param


@pytest.mark.parametrize("case", CASES)
def test_output_and_architecture(case, norm):
    build, (kind, options) = CASES[case]
    module = randomized(build(norm))
    network = network_from_state_dict(arrays(module))

    architecture = architecture_of(network)
    assert architecture.kind == kind
    for option, value in ({**options, "norm": norm}).items():
        assert architecture.options[option] == value, option

    side = 256 if case in ("unet_256", "patchgan_5") else 64
    channels = network.input_shape[-1]
    x = np.random.default_rng(0).uniform(-1, 1, (2, side, side, channels))
    x = x.astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    expected = expected.numpy().transpose(0, 2, 3, 1)
    # Outputs of discriminators are not bounded, so relative to their size.
    tolerance = 1e-4 * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(network(x), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_the_way_back_is_bit_equal(case, norm):
    build, _ = CASES[case]
    module = randomized(build(norm))
    expected = arrays(module)
    found = state_dict_of(network_from_state_dict(expected))
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)
    tensors = {key: torch.from_numpy(array) for key, array in found.items()}
    build(norm).load_state_dict(tensors, strict=True)


@pytest.fixture
def state_dict():
    return arrays(randomized(torch_networks.ResNet(WIDTHS, [8] * 2)))


def test_data_parallel_prefix(state_dict):
    network = network_from_state_dict(
        {f"module.{key}": array for key, array in state_dict.items()}
    )
    assert state_dict_of(network).keys() == state_dict.keys()


def test_statistics_of_old_instance_norms_are_dropped(state_dict):
    """PyTorch before 0.4 kept them, though they were never used."""
    old = {}
    for key, array in state_dict.items():
        old[key] = array
        if key.endswith("bias") and key != "model.19.bias":
            prefix, number = key.removesuffix(".bias").rsplit(".", 1)
            norm = f"{prefix}.{int(number) + 1}"
            old[f"{norm}.running_mean"] = np.ones_like(array)
            old[f"{norm}.running_var"] = np.ones_like(array)
    found = state_dict_of(network_from_state_dict(old))
    for key, array in state_dict.items():
        np.testing.assert_array_equal(found[key], array)
    assert found.keys() == state_dict.keys()


def test_anti_aliased_networks_of_cut_are_refused(state_dict):
    """Its blurs have weights of their own and shift all that comes after them."""
    cut = {"model.1.weight": state_dict["model.1.weight"]}
    cut["model.1.bias"] = state_dict["model.1.bias"]
    cut["model.4.weight"] = state_dict["model.4.weight"]
    cut["model.4.bias"] = state_dict["model.4.bias"]
    cut["model.7.filt"] = np.ones((4, 1, 3, 3), np.float32)
    cut["model.8.weight"] = state_dict["model.7.weight"]
    with pytest.raises(ValueError, match=r"unexpected key 'model\.7\.filt'"):
        network_from_state_dict(cut)


def test_what_does_not_fit_is_named(state_dict):
    lacking = {k: v for k, v in state_dict.items() if k != "model.11.conv_block.5.bias"}
    with pytest.raises(ValueError, match=r"lacks the key 'model\.11\.conv_block\.5\.b"):
        network_from_state_dict(lacking)
    reshaped = state_dict | {"model.4.weight": np.ones((4, 9, 3, 3), np.float32)}
    with pytest.raises(ValueError, match=r"'model\.4\.weight' has the shape \(4, 9, 3"):
        network_from_state_dict(reshaped)
    with pytest.raises(ValueError, match=r"first key 'encoder\.weight' is of no known"):
        network_from_state_dict({"encoder.weight": np.ones(3, np.float32)})
    six = arrays(torch_networks.PatchGAN(2, 6))
    with pytest.raises(ValueError, match="num_layers must be from 1 to 5"):
        network_from_state_dict(six)


def test_claimed_widths_are_not_allocated(state_dict):
    """40,000 filters in the residual blocks would be 57 GB each."""
    huge = np.broadcast_to(np.float32(0), (10_000, 3, 7, 7))
    with pytest.raises(ValueError, match="has the shape"):
        network_from_state_dict(state_dict | {"model.1.weight": huge})


def test_find_architecture_of_a_single_level():
    with pytest.raises(ValueError, match="num_levels must be at least 2"):
        network_from_state_dict(
            {
                "model.model.0.weight": np.ones((2, 3, 4, 4), np.float32),
                "model.model.3.weight": np.ones((2, 3, 4, 4), np.float32),
            }
        )
    assert find_architecture(arrays(torch_networks.UNet(2, 5))).kind == "unet"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upsampling": "nearest"}, "no upsampling='nearest'"),
        ({"padding": "same"}, "no padding='same'"),
        ({"norm": "instance_affine"}, "no norm='instance_affine'"),
        ({"norm_epsilon": 1e-3}, "no norm_epsilon=0.001"),
    ],
)
def test_what_pytorch_has_no_network_for(options, message):
    network = Architecture(
        "resnet", {"filters": 2, "num_residual_blocks": 1, **options}
    )
    with pytest.raises(ValueError, match=message):
        state_dict_of(network.build())


def test_a_network_of_somebody_else():
    import keras

    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3)])
    with pytest.raises(ValueError, match="not a network of"):
        state_dict_of(network)
    assert architecture_of(network) is None
    assert architecture_of(cyclegan_tf.pixel_discriminator(2)).kind == "pixel"
