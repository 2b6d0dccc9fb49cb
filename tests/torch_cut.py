"""CUT in PyTorch, to tell our faults from PyTorch's.

`torch.nn.functional.instance_norm` has a wrong gradient in PyTorch 2.13.0 on processors
if the incoming gradient lies in memory as (batch, height, width, channels), which is
what CUT's choice of patches leaves. The recorded training has that fault in G's
gradients, so this module computes a norm either way: with the fault it must repeat the
record, and without it our model must agree.
"""

import numpy as np
import torch
import torch.nn.functional as F

LAYERS = (0, 4, 8, 12, 16)


def correct_norm(x):
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def faulty_norm(x):
    return F.instance_norm(x, eps=1e-5)


class TorchCUT:
    """The networks and one training step, in float64.

    Args:
        state_dicts: arrays of G, D and F (the heads) by name and key.
        settings: of the recorded training.
        norm: `correct_norm` or `faulty_norm`.
    """

    def __init__(self, state_dicts, settings, norm):
        self.weights, self.filters = {}, {}
        for name, state_dict in state_dicts.items():
            for key, array in state_dict.items():
                tensor = torch.tensor(array, dtype=torch.float64)
                if key.endswith("filt"):
                    self.filters[f"{name}.{key}"] = tensor
                else:
                    self.weights[f"{name}.{key}"] = tensor.requires_grad_()
        self.temperature = settings["nce_T"]
        self.norm = norm
        betas = settings["beta1"], settings["beta2"]
        self.optimizers = {
            names: torch.optim.Adam(
                [w for name, w in self.weights.items() if name[0] in names],
                lr=settings["lr"],
                betas=betas,
            )
            for names in ("D", "GF")
        }

    def step(self, real_x, real_y, positions):
        """Train on float (batch, height, width, channels); return losses, gradients."""
        real = [torch.tensor(np.moveaxis(i, 3, 1)).double() for i in (real_x, real_y)]
        fakes = [self.generator(image) for image in real]
        fake, real_y = fakes[0], real[1]
        d_loss = 0.5 * (
            (self.discriminator(fake.detach()) ** 2).mean()
            + ((self.discriminator(real_y) - 1) ** 2).mean()
        )
        gradients = self.update("D", d_loss)
        adversarial = ((self.discriminator(fake) - 1) ** 2).mean()
        contrasts = [self.contrast(*it) for it in zip(real, fakes, positions)]
        loss = adversarial + 0.5 * sum(contrasts)
        gradients |= self.update("GF", loss)
        names = ("D", "G_GAN", "NCE", "NCE_Y", "G")
        values = (d_loss, adversarial, *contrasts, loss)
        return {n: v.item() for n, v in zip(names, values)}, gradients

    def update(self, names, loss):
        optimizer = self.optimizers[names]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {
            name: weight.grad.numpy().copy()
            for name, weight in self.weights.items()
            if name[0] in names
        }

    def contrast(self, image, fake, positions):
        queries = self.generator(fake, encode_only=True)
        keys = self.generator(image, encode_only=True)
        return sum(map(self.patch_nce, range(5), queries, keys, positions)) / 5

    def patch_nce(self, i, query, key, positions):
        query = self.project(i, query, positions)
        key = self.project(i, key, positions).detach()
        similarities = query @ key.T / self.temperature
        return F.cross_entropy(similarities, torch.arange(len(positions)))

    def project(self, i, features, positions):
        x = features.permute(0, 2, 3, 1).flatten(1, 2)[0, torch.tensor(positions)]
        for j in (0, 2):
            weight, bias = (
                self.weights[f"F.mlp_{i}.{j}.{w}"] for w in ("weight", "bias")
            )
            x = F.linear(F.relu(x) if j else x, weight, bias)
        return x / (x.pow(2).sum(1, keepdim=True).sqrt() + 1e-7)

    def conv(self, x, key, padding=0):
        return F.conv2d(x, *self.weights_of(key), padding=padding)

    def weights_of(self, key):
        return self.weights[f"{key}.weight"], self.weights[f"{key}.bias"]

    def down(self, x, key):
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, self.filters[f"{key}.filt"], stride=2, groups=x.shape[1])

    def up(self, x, key):
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        x = F.conv_transpose2d(
            x, self.filters[f"{key}.filt"], stride=2, padding=2, groups=x.shape[1]
        )
        return x[:, :, 1:-1, 1:-1]

    def generator(self, x, encode_only=False):
        """Translate (batch, channels, height, width), or return the five features."""
        norm = self.norm
        features = [F.pad(x, (3, 3, 3, 3), mode="reflect")]
        x = F.relu(norm(self.conv(features[0], "G.model.1")))
        for conv, down in ((4, 7), (8, 11)):
            features.append(self.conv(x, f"G.model.{conv}", padding=1))
            x = self.down(F.relu(norm(features[-1])), f"G.model.{down}")
        for i in range(12, 21):
            block = f"G.model.{i}.conv_block"
            y = self.conv(F.pad(x, (1, 1, 1, 1), mode="reflect"), f"{block}.1")
            y = F.pad(F.relu(norm(y)), (1, 1, 1, 1), mode="reflect")
            x = x + norm(self.conv(y, f"{block}.5"))
            if i in (12, 16):
                features.append(x)
        if encode_only:
            return features
        for up, conv in ((21, 22), (25, 26)):
            x = self.conv(self.up(x, f"G.model.{up}"), f"G.model.{conv}", padding=1)
            x = F.relu(norm(x))
        return torch.tanh(
            self.conv(F.pad(x, (3, 3, 3, 3), mode="reflect"), "G.model.30")
        )

    def discriminator(self, x):
        for conv in (0, 3, 7, 11):
            x = self.conv(x, f"D.model.{conv}", padding=1)
            x = F.leaky_relu(self.norm(x) if conv else x, 0.2)
            if conv < 11:
                x = self.down(x, f"D.model.{ {0: 2, 3: 6, 7: 10}[conv] }")
        return self.conv(x, "D.model.14", padding=1)
