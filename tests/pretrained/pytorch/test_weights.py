"""State dicts of real PyTorch networks become networks here, and go back."""

import numpy as np
import pytest
import torch
import torch_networks

import cyclegan_tf
from cyclegan_tf.models.networks.architecture import Architecture
from cyclegan_tf.pretrained.pytorch.files import read_state_dict
from cyclegan_tf.pretrained.pytorch.keys import unet_level
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
    "cut": (
        lambda norm: torch_networks.ResNet(
            WIDTHS, [8] * 3, norm, blurs_down=True, blurs_up=True
        ),
        ("resnet", {"downsampling": "antialiased", "upsampling": "antialiased"}),
    ),
    "cut_down_dropout": (
        lambda norm: torch_networks.ResNet(
            WIDTHS, [8] * 2, norm, dropout=True, blurs_down=True
        ),
        ("resnet", {"downsampling": "antialiased", "upsampling": "transpose"}),
    ),
    "cut_up_gray": (
        lambda norm: torch_networks.ResNet(
            WIDTHS, [8] * 2, norm, channels=1, blurs_up=True
        ),
        ("resnet", {"downsampling": "strided", "upsampling": "antialiased"}),
    ),
    "mobile_blurred": (
        lambda norm: torch_networks.ResNet(
            MOBILE, [3, 7], norm, mobile=True, blurs_down=True, blurs_up=True
        ),
        ("mobile_resnet", {"filters": MOBILE, "upsampling": "antialiased"}),
    ),
    "patchgan_cut": (
        lambda norm: torch_networks.PatchGAN(3, 3, norm, blurs_down=True),
        ("patchgan", {"num_layers": 3, "downsampling": "antialiased"}),
    ),
    "patchgan_cut_1": (
        lambda norm: torch_networks.PatchGAN(3, 1, norm, blurs_down=True),
        ("patchgan", {"num_layers": 1, "downsampling": "antialiased"}),
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
        if tensor.dtype == torch.float32 and not name.endswith("filt"):
            values = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                values = values.abs() + 0.5
            elif tensor.ndim == 4:  # neither grow nor fade, whatever the norm
                values /= tensor[0].numel() ** 0.5
            tensor.copy_(values)
    return module.eval()


def arrays(module):
    return {key: tensor.numpy() for key, tensor in module.state_dict().items()}


def assert_same_output(module, network, side=64):
    x = np.random.default_rng(0).uniform(
        -1, 1, (2, side, side, network.input_shape[-1])
    )
    x = x.astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))
    expected = expected.numpy().transpose(0, 2, 3, 1)
    # Outputs of discriminators are not bounded, so relative to their size.
    tolerance = 1e-4 * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(network(x), expected, rtol=0, atol=tolerance)


def assert_same_arrays(found, expected):
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)


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

    assert_same_output(
        module, network, 256 if case in ("unet_256", "patchgan_5") else 64
    )


@pytest.mark.parametrize("case", CASES)
def test_the_way_back_is_bit_equal(case, norm):
    build, _ = CASES[case]
    module = randomized(build(norm))
    expected = arrays(module)
    found = state_dict_of(network_from_state_dict(expected))
    assert_same_arrays(found, expected)
    tensors = {key: torch.from_numpy(array) for key, array in found.items()}
    build(norm).load_state_dict(tensors, strict=True)


@pytest.fixture
def state_dict():
    return arrays(randomized(torch_networks.ResNet(WIDTHS, [8] * 2)))


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.module."]
)
def test_prefixes_of_wrappers(prefix, state_dict):
    network = network_from_state_dict(
        {f"{prefix}{key}": array for key, array in state_dict.items()}
    )
    assert_same_arrays(state_dict_of(network), state_dict)


@pytest.mark.parametrize("block", ["block", "layers", "_orig_mod.conv_block"])
def test_blocks_named_otherwise(block, state_dict):
    network = network_from_state_dict(
        {key.replace("conv_block", block): array for key, array in state_dict.items()}
    )
    assert_same_arrays(state_dict_of(network), state_dict)


def test_keys_that_become_one(state_dict):
    twice = {**state_dict, "module.model.1.weight": state_dict["model.1.weight"]}
    with pytest.raises(ValueError, match="differ in prefixes or block names only"):
        network_from_state_dict(twice)


AFFINE = {
    "resnet": lambda: torch_networks.ResNet(WIDTHS, [8] * 2, "instance_affine"),
    "mobile": lambda: torch_networks.ResNet(
        MOBILE, [3, 7], "instance_affine", mobile=True
    ),
    "unet": lambda: torch_networks.UNet(2, 5, "instance_affine"),
    "patchgan": lambda: torch_networks.PatchGAN(3, 2, "instance_affine"),
    "pixel": lambda: torch_networks.PixelGAN(3, "instance_affine"),
}
# Biases that no norm cancels, and that our networks with affine norm do not have.
UNCANCELLED = {
    "unet": ["model.model.0.bias", f"{unet_level(4)}1.bias"],
    "pixel": ["net.5.bias"],
}


@pytest.mark.parametrize("case", AFFINE)
def test_affine_instance_norm(case):
    """The norms are kept bit for bit; the biases that they cancel become zeros."""
    module = randomized(AFFINE[case]())
    for key in UNCANCELLED.get(case, ()):
        module.state_dict()[key].zero_()
    expected = arrays(module)
    network = network_from_state_dict(expected)
    assert architecture_of(network).options["norm"] == "instance_affine"
    assert_same_output(module, network)

    found = state_dict_of(network)
    assert found.keys() == expected.keys()
    for key, array in found.items():
        if np.any(array):
            np.testing.assert_array_equal(array, expected[key], err_msg=key)
        else:
            assert key.endswith("bias") and found[key[:-4] + "weight"].ndim == 4
    module.load_state_dict({key: torch.from_numpy(found[key]) for key in found})
    assert_same_output(module, network)
    assert_same_arrays(state_dict_of(network_from_state_dict(found)), found)


@pytest.mark.parametrize("case", UNCANCELLED)
def test_affine_instance_norm_beside_biases_that_matter(case):
    module = randomized(AFFINE[case]())
    with pytest.raises(ValueError, match="unexpected key '[a-z0-9.]+bias'"):
        network_from_state_dict(arrays(module))


def without_biases_before_norms(module):
    return {
        key: array
        for key, array in arrays(module).items()
        if not key.endswith("bias") or key == "model.19.bias"
    }


def test_an_instance_norm_that_has_no_keys(state_dict):
    """Without biases it looks like no norm, unless it is named."""
    module = randomized(torch_networks.ResNet(WIDTHS, [8] * 2))
    bare = without_biases_before_norms(module)
    assumed = network_from_state_dict(bare)
    assert architecture_of(assumed).options["norm"] == "none"
    network = network_from_state_dict(bare, norm="instance")
    assert architecture_of(network).options["norm"] == "instance"
    assert_same_output(module, network)


def test_an_affine_instance_norm_that_looks_like_batch_norm():
    """PyTorch's `track_running_stats` keeps statistics that this norm never uses."""
    module = randomized(torch_networks.ResNet(WIDTHS, [8] * 2, "instance_affine"))
    tracked = arrays(module)
    for key, array in arrays(module).items():
        if key.endswith("weight") and array.ndim == 1:
            for statistic in ("running_mean", "running_var"):
                tracked[key.replace("weight", statistic)] = np.ones_like(array)
    network = network_from_state_dict(tracked, norm="instance")
    assert architecture_of(network).options["norm"] == "instance_affine"
    assert_same_output(module, network)


def test_a_norm_that_cannot_be(state_dict):
    for norm in ("batch", "none"):
        with pytest.raises(ValueError, match=r"unexpected key 'model\.1\.bias'"):
            network_from_state_dict(state_dict, norm=norm)
    with pytest.raises(ValueError, match="norm must be one of"):
        network_from_state_dict(state_dict, norm="layer")


def test_a_unet_of_two_levels():
    """Its inner level has a norm on the way up only."""
    for norm in NORMS:
        network = network_from_state_dict(arrays(torch_networks.UNet(2, 2, norm)))
        assert architecture_of(network).options["norm"] == norm


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
    assert_same_arrays(state_dict_of(network_from_state_dict(old)), state_dict)


@pytest.mark.parametrize(
    ("key", "build"),
    {
        "model.7.filt": CASES["cut"][0],
        "model.19.filt": CASES["cut"][0],
        "model.6.filt": CASES["patchgan_cut"][0],
    }.items(),
)
def test_other_filters_than_those_of_cut_are_refused(key, build):
    """Our blurs have no filters, so these must be the known ones."""
    module = randomized(build("instance"))
    boxes = arrays(module)
    boxes[key] = np.full_like(boxes[key], 1 / 9)
    with pytest.raises(ValueError, match=f"{key!r} is another filter than CUT's"):
        network_from_state_dict(boxes)
    del boxes[key]
    with pytest.raises(ValueError, match="lacks the key|has the shape|unexpected key"):
        network_from_state_dict(boxes)


@pytest.mark.parametrize("name", ["G", "D"])
def test_the_recorded_networks_of_cut(name, shared):
    """Bit-equal there and back; what they compute is that of the authors' code."""
    folder = shared / "golden/pytorch/cut"
    expected = read_state_dict(folder / f"latest_net_{name}.pth")
    network = network_from_state_dict(expected)
    assert_same_arrays(state_dict_of(network), expected)
    golden = np.load(folder / "golden.npz")
    output = {"G": "fake_y_before", "D": "discriminator_y_before"}[name]
    image = {"G": "real_x", "D": "real_y"}[name]
    np.testing.assert_allclose(
        network(golden[image][0].astype(np.float32)), golden[output], rtol=0, atol=1e-6
    )


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
        ({"norm_epsilon": 1e-3}, "no norm_epsilon=0.001"),
    ],
)
def test_what_pytorch_has_no_network_for(options, message):
    network = Architecture(
        "resnet", {"filters": 2, "num_residual_blocks": 1, **options}
    )
    with pytest.raises(ValueError, match=message):
        state_dict_of(network.build())


def test_a_unet_without_transposed_convolutions():
    options = {"filters": 2, "num_levels": 2, "upsampling": "antialiased"}
    with pytest.raises(ValueError, match="no upsampling='antialiased'"):
        state_dict_of(Architecture("unet", options).build())


def test_a_network_of_somebody_else():
    import keras

    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 3)])
    with pytest.raises(ValueError, match="not a network of"):
        state_dict_of(network)
    assert architecture_of(network) is None
    assert architecture_of(cyclegan_tf.pixel_discriminator(2)).kind == "pixel"
