"""How the autoencoder of a latent space is trained in the first steps of a fit, and what it must keep to go on.

B batch, N images, C channels, H height, W width, Z latent channels; h and w are H and W by the factor,
D values of a square.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from augury.conditions.pairs import Pairs
from augury.errors import Refused
from augury.generators.cvae import kl_divergence
from augury.generators.latent_space import AT_ONCE, Latent, LatentSpace
from augury.generators.pixel_errors import edge_error, reconstruction_error
from augury.generators.reconstruction_gate import Survival, survival
from augury.training import Run, Stateful

CROP = 64  # pixels a side of what a step sees of an image; the network has no other reach
RISE = 0.05  # share of the steps in which the learning rate rises
HELD = 64  # images at most that only the gate sees
HELD_SHARE = 6  # one in so many, at most
SQUARES_OF = 256  # images at most that tell the principal components
USUAL = 256  # pixels a side; of larger images fewer are looked at together, for memory
SMALLEST = 0.01  # standard deviation of a component, so that empty ones are not blown up


class LatentCourse:
    """The training of a latent space: `take` its steps one after another, then `settle` once.

    It begins as the principal components of squares of pixels and goes on by L1, the differences of neighbouring pixels
    and a small KL (Kingma and Welling 2014; Rombach 2022, appendix G), on crops.
    Images that the gate measures on are not trained on, whole patients or groups of them.
    """

    def __init__(self, latent: Latent, space: LatentSpace, *, train: Pairs, run: Run, trained: bool = False) -> None:
        """`trained`: the autoencoder came from another model; it takes no steps and is only measured."""
        self.latent, self.space, self.train, self.run = latent, space, train, run
        self.steps = 0 if trained else min(run.steps - 1, max(1, round(latent.share * run.steps)))
        self.optimizer = torch.optim.Adam(space.autoencoder.parameters(), latent.rate, betas=(0.9, 0.99))
        self.held_n, self.used_n = self._split()
        if not trained:
            self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Principal components of squares of `factor` pixels a side (Pearson 1901)."""
        factor, few = self.latent.factor, self.used_n[:: -(-len(self.used_n) // self._at_most(SQUARES_OF))]
        square_XD = F.unfold(self.train[few][0], factor, stride=factor).transpose(1, 2).flatten(0, 1)
        mean_D, wanted = square_XD.mean(0), self.latent.channels
        variance_D, axis_DD = torch.linalg.eigh(torch.cov(square_XD.T))
        largest = torch.arange(len(variance_D) - 1, len(variance_D) - 1 - wanted, -1)
        sd_Z = variance_D[largest].clamp(min=SMALLEST**2).sqrt()
        device = self.space.mean_Z.device
        self.space.autoencoder.aim(mean_D.to(device), axis_DD[:, largest].to(device), sd_Z.to(device))

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        return {"latent_space": self.space, "latent_optimizer": self.optimizer}

    def take(self, step: int) -> None:
        """One step of the autoencoder."""
        latent, run = self.latent, self.run
        self.optimizer.param_groups[0]["lr"] = latent.rate * _rate(step, self.steps)
        index_B = self.used_n[run.indices(len(self.used_n), batch=min(latent.batch, len(self.used_n)))]
        image_BCHW = self._crop(self.train[index_B][0])
        height, width = (side // latent.factor for side in image_BCHW.shape[2:])
        noise_BZhw = run.normal(len(image_BCHW), latent.channels, height, width)
        total = run.update(self.space.autoencoder, self.optimizer, self._loss, image_BCHW, noise_BZhw)
        run.log(autoencoder=total)

    def _loss(self, image_BCHW: Tensor, noise_BZhw: Tensor) -> Tensor:
        net = self.space.autoencoder
        mean_BZhw, logvar_BZhw = net.encode(image_BCHW)
        drawn_BCHW = net.decode(mean_BZhw + noise_BZhw * (0.5 * logvar_BZhw).exp())
        error_B = reconstruction_error(image_BCHW, drawn_BCHW) + self.latent.sharpness * edge_error(
            image_BCHW, drawn_BCHW
        )
        kl_B = kl_divergence(mean_BZhw.flatten(1), logvar_BZhw.flatten(1), free=0.0)
        loss: Tensor = (error_B / image_BCHW[0].numel() + self.latent.kl * kl_B / mean_BZhw[0].numel()).mean()
        return loss

    def _crop(self, image_BCHW: Tensor) -> Tensor:
        """The same place of each, where an image is larger than a crop."""
        for axis in (2, 3):
            room = image_BCHW.shape[axis] - CROP
            if room > 0:
                start = int(torch.randint(room + 1, (), generator=self.run.random("crop", axis)))
                image_BCHW = image_BCHW.narrow(axis, start, CROP)
        return image_BCHW.contiguous(memory_format=torch.channels_last)

    def settle(self) -> None:
        """Measure what small lesions are left, then the latents' scale.

        Raises:
            Refused: less of the smallest lesions' contrast comes back than `survives`, unless that was accepted.
        """
        self.space.eval()
        found, latent = self.survival(), self.latent
        self.run.note(lesions_kept=found.every, smallest_kept=found.smallest)
        if not found.smallest >= latent.survives and latent.when_lost == "refuse":
            raise Refused(
                f"latent space of factor {latent.factor} keeps {found.in_words()} after {self.steps} steps; expected "
                f"{latent.survives:g}; raise --steps, latent.channels or latent.share, lower latent.factor, stay in "
                "pixels (--set latent=null) or accept the loss (--set latent.when_lost=accept)"
            )
        self.space.measure(self.train)

    def survival(self) -> Survival:
        """What the round trip leaves of lesions, on the images that only this looks at."""
        held_n = self.held_n[: self._at_most(2 * HELD)]
        image_NCHW = self.train[held_n][0]
        mask_NHW = _masks(self.train)
        here_NHW = None if mask_NHW is None else np.asarray(mask_NHW[held_n.numpy()]) >= 128
        return survival(
            self.round_trip, image_NCHW, here_NHW, radius=self.latent.radius, seed=self.run.seed % 2**32
        )  # fmt: skip

    @torch.no_grad()
    def round_trip(self, image_NCHW: Tensor) -> Tensor:
        """The images as the autoencoder gives them back, on the CPU, not cut to their range."""
        net, device = self.space.autoencoder, self.space.mean_Z.device
        parts = [net.decode(net.encode(part.to(device))[0]).float().cpu() for part in image_NCHW.split(AT_ONCE)]
        return torch.cat(parts)

    def _at_most(self, images: int) -> int:
        _, height, width = self.train.shape
        return max(8, min(images, images * USUAL**2 // (height * width)))

    def _split(self) -> tuple[Tensor, Tensor]:
        """Positions that only the gate sees, and those trained on; everything twice where there is next to nothing."""
        count = len(self.train)
        group_N = torch.arange(count) if self.train.group_N is None else self.train.group_N
        with self.run.seeded("gate"):
            order_n = torch.randperm(count)
        mask_NHW = _masks(self.train)
        if mask_NHW is not None:  # images with lesions first
            marked_N = torch.tensor([bool((mask_HW >= 128).any()) for mask_HW in mask_NHW])
            order_n = torch.cat([order_n[marked_N[order_n]], order_n[~marked_N[order_n]]])
        wanted, held_N = min(HELD, count // HELD_SHARE), torch.zeros(count, dtype=torch.bool)
        for place in order_n.tolist():
            if int(held_N.sum()) < wanted:
                held_N |= group_N == group_N[place]
        if not held_N.any() or int((~held_N).sum()) < count // 2:
            return order_n[:HELD].sort().values, torch.arange(count)
        return held_N.nonzero().flatten(), (~held_N).nonzero().flatten()


def _masks(train: Pairs) -> NDArray[np.uint8] | None:
    return train.channel("mask") if "mask" in train.maps else None


def _rate(step: int, steps: int) -> float:
    """A short linear rise, then a cosine down to a fiftieth, as a share of the largest rate."""
    return min(1.0, (step + 1) / max(1.0, RISE * steps)) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))
