"""Where a decoder's latents are drawn from: a normal distribution, or a mixture fitted afterwards to each class.

With a small KL weight the codes of real images fill only a part of the unit normal, and a draw from it decodes into
something between the classes. Fitting the codes once the networks stand (Ghosh 2020, section 4, ex-post density
estimation) mends that without a second training. N images, Z latent, K classes, M components.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

PER_COMPONENT = 25  # codes that a component needs: below that a covariance is mostly its floor
ITERATIONS = 60


class LatentPrior(nn.Module):
    """A Gaussian mixture per class with a covariance of its own for each component; at first the unit normal."""

    weight_KM: Tensor
    mean_KMZ: Tensor
    factor_KMZZ: Tensor

    def __init__(self, *, classes: int, components: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("weight_KM", torch.full((classes, components), 1.0 / components))
        self.register_buffer("mean_KMZ", torch.zeros(classes, components, latent))
        self.register_buffer("factor_KMZZ", torch.eye(latent).repeat(classes, components, 1, 1))

    def fit(self, code_NZ: Tensor, label_N: Tensor, *, floor: float, seed: int) -> None:
        """Take each class's mixture from its codes; a class of fewer than two keeps the unit normal.

        `floor` is added to the variances, so that few codes do not make a component that only repeats them.
        """
        for label in range(len(self.weight_KM)):
            code_nZ = code_NZ[label_N == label].double().cpu().numpy()
            if len(code_nZ) >= 2:
                self._fit_class(label, _mixture(code_nZ, self.weight_KM.shape[1], floor=floor, seed=seed))

    def _fit_class(self, label: int, mixture: GaussianMixture) -> None:
        used = len(mixture.weights_)
        weight_M = torch.zeros_like(self.weight_KM[label])
        weight_M[:used] = torch.from_numpy(mixture.weights_)
        self.weight_KM[label] = weight_M
        self.mean_KMZ[label, :used] = torch.from_numpy(mixture.means_).to(self.mean_KMZ)
        factor_MZZ = np.linalg.cholesky(mixture.covariances_)
        self.factor_KMZZ[label, :used] = torch.from_numpy(factor_MZZ).to(self.factor_KMZZ)

    def draw(self, label_N: Tensor, *, seed: int) -> Tensor:
        """latent_NZ on the CPU, a function of the labels and the seed."""
        random = torch.Generator().manual_seed(seed)
        label_N = label_N.cpu()
        noise_NZ = torch.randn(len(label_N), self.mean_KMZ.shape[2], generator=random)
        if len(label_N) == 0:
            return noise_NZ
        part_N = torch.multinomial(self.weight_KM.cpu()[label_N], 1, generator=random)[:, 0]
        mean_NZ = self.mean_KMZ.cpu()[label_N, part_N]
        return mean_NZ + self._scaled(noise_NZ, label_N, part_N)

    def _scaled(self, noise_NZ: Tensor, label_N: Tensor, part_N: Tensor) -> Tensor:
        """The noise times its component's factor; one product a component, since N factors would not fit memory."""
        scaled_NZ = torch.empty_like(noise_NZ)
        factor_KMZZ = self.factor_KMZZ.cpu()
        for label, part in torch.unique(torch.stack([label_N, part_N], 1), dim=0).tolist():
            here_N = (label_N == label) & (part_N == part)
            scaled_NZ[here_N] = noise_NZ[here_N] @ factor_KMZZ[label, part].T
        return scaled_NZ


def _mixture(code_nZ: NDArray[np.float64], components: int, *, floor: float, seed: int) -> GaussianMixture:
    used = max(1, min(components, len(code_nZ) // PER_COMPONENT))
    mixture = GaussianMixture(used, covariance_type="full", reg_covar=floor, max_iter=ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        # The likelihood need not have settled to the last digit for a prior.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(code_nZ)
