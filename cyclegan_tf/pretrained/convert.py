"""Convert networks from PyTorch and Keras 2, and to PyTorch."""

import pathlib

from cyclegan_tf._shared.errors import InputError
from cyclegan_tf._shared.files import check_free
from cyclegan_tf.pretrained.keras3 import write_network
from cyclegan_tf.pretrained.options import ExportPytorchConfig, ImportConfig
from cyclegan_tf.pretrained.pytorch.files import write_state_dict
from cyclegan_tf.pretrained.pytorch.weights import state_dict_of
from cyclegan_tf.pretrained.read import (
    PYTORCH_NAMES,
    find_networks,
    holds_networks,
    read_network,
)


def import_network(config: ImportConfig) -> list[pathlib.Path]:
    """Convert networks of PyTorch or Keras 2 to `.keras` files; return their paths.

    The architecture comes from the file, and nothing in the file is executed. The
    result consists of stock layers: any Keras 3 loads it without this package.

    Args:
        config: the source and the output. A folder of several networks becomes a
            folder of `generator_g.keras` and so on.

    Raises:
        InputError: if the source is damaged or fits no known network, PyTorch or
            safetensors is needed but not installed, `norm` is given for a file that
            records it, or a file exists and `overwrite` is not set.
    """
    if holds_networks(config.source):
        found = {
            config.out / f"{name}.keras": pretrained
            for name, pretrained in find_networks(config.source, config.norm).items()
        }
    else:
        if config.out.suffix != ".keras":
            raise InputError(
                f"`out={config.out}` must be a file name that ends in .keras."
            )
        found = {config.out: read_network(config.source, config.norm)}
    for path in found:
        check_free(path, config.overwrite)
    for path, pretrained in found.items():
        write_network(path, pretrained)
    return list(found)


def export_pytorch(config: ExportPytorchConfig) -> list[pathlib.Path]:
    """Write networks as files of the authors' PyTorch code; return their paths.

    Args:
        config: the source and the output folder. The networks of a run or folder
            become `latest_net_G_A.pth`, `latest_net_G_B.pth`, `latest_net_D_A.pth` and
            `latest_net_D_B.pth`, or, of a method with one generator, `latest_net_G.pth`
            and `latest_net_D.pth`; a single generator becomes `latest_net_G.pth`; or
            `.safetensors` files of these names. CUT's heads are left out.

    Raises:
        InputError: if the PyTorch code has no such network, PyTorch or safetensors is
            needed but not installed, or a file exists and `overwrite` is not set.
    """
    if holds_networks(config.source):
        networks = find_networks(config.source)
        is_two_way = networks.keys() & {"generator_f", "discriminator_x"}
        theirs = {
            ours: name
            for name, ours in PYTORCH_NAMES.items()
            if ("_" in name) == bool(is_two_way)
        }
        found = {
            config.out / f"latest_net_{theirs[name]}.{config.format}": it.network
            for name, it in networks.items()
            if name in theirs
        }
    else:
        path = config.out / f"latest_net_G.{config.format}"
        found = {path: read_network(config.source).network}
    for path in found:
        check_free(path, config.overwrite)
    state_dicts = {}
    for path, network in found.items():
        try:
            state_dicts[path] = state_dict_of(network)
        except ValueError as e:
            raise InputError(
                f"{network.name} of {config.source} cannot become a PyTorch file: {e}."
            ) from e
    for path, state_dict in state_dicts.items():
        write_state_dict(path, state_dict)
    return list(found)
