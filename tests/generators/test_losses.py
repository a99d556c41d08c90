"""Penalties, losses and terms against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from augury.generators.adversarial import softplus_critic
from augury.generators.cgan import hinge_critic, minimax_painter, nonsaturating_painter, squared_slope
from augury.generators.cvae import kl_divergence
from augury.generators.labels import wrong_labels
from augury.generators.latent_prior import LatentPrior
from augury.generators.pixel_errors import deviation_error, edge_error, reconstruction_error
from augury.generators.wgan_gp import gradient_penalty, wasserstein
from augury.nets.differentiable import DRAWS, Jitter
from augury.nets.gan import Critic


class Plane(nn.Module):
    """A critic whose slope is `steepness` everywhere."""

    def __init__(self, steepness: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((16,), steepness / 4.0))

    def forward(self, image_BCHW: Tensor, label_B: Tensor) -> Tensor:  # noqa: ARG002
        return image_BCHW.flatten(1) @ self.weight


@pytest.mark.parametrize("steepness", [0.0, 1.0, 3.0])
def test_penalties_of_a_plane(steepness: float) -> None:
    critic, label_B = Plane(steepness), torch.zeros(6, dtype=torch.int64)
    real, fake, mix = torch.randn(6, 1, 4, 4), torch.randn(6, 1, 4, 4), torch.rand(6)
    penalty = gradient_penalty(critic, real, fake, label_B=label_B, mix_B=mix)  # type: ignore[arg-type]
    assert penalty.item() == pytest.approx((steepness - 1) ** 2, abs=1e-5)
    assert squared_slope(critic, real, label_B).item() == pytest.approx(steepness**2 / 2, abs=1e-5)  # type: ignore[arg-type]
    if steepness:
        (gradient,) = torch.autograd.grad(penalty, critic.weight)
        assert torch.allclose(gradient, 2 * (steepness - 1) * critic.weight / steepness, atol=1e-5)


def test_batch_norm_makes_a_score_depend_on_the_others() -> None:
    """Why the document's critic 2 cannot carry a per-image penalty, and critic 1 can."""
    image, label_B = torch.randn(8, 1, 16, 16), torch.zeros(8, dtype=torch.int64)
    for kind, alone in ((1, True), (2, False)):
        critic = Critic(channels=1, height=16, width=16, classes=2, kind=kind, features=8).train()  # type: ignore[arg-type]
        asked = image.clone().requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(asked, label_B)[0], asked)
        assert bool(slope[1:].abs().max() < 1e-9) is alone


def test_losses_of_an_undecided_and_of_a_sure_critic() -> None:
    nothing, sure = torch.zeros(4), torch.full((4,), 20.0)
    assert float(softplus_critic(nothing, nothing)) == pytest.approx(2 * math.log(2))
    assert float(hinge_critic(nothing, nothing)) == 2.0
    assert float(softplus_critic(sure, -sure)) == pytest.approx(0.0, abs=1e-6)
    assert float(hinge_critic(sure, -sure)) == 0.0
    assert float(wasserstein(sure, -sure)) == -40.0


@pytest.mark.parametrize(("loss", "slope"), [(nonsaturating_painter, -1.0), (minimax_painter, 0.0)])
def test_only_the_repaired_loss_moves_a_painter_that_is_found_out(loss: nn.Module, slope: float) -> None:
    score = torch.tensor([-30.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(score), score)
    assert float(gradient) == pytest.approx(slope, abs=1e-6)


def test_terms_of_the_elbo() -> None:
    mean, logvar = torch.randn(5, 7), torch.randn(5, 7)
    given = torch.distributions.Normal(mean, (0.5 * logvar).exp())
    wanted = torch.distributions.kl_divergence(given, torch.distributions.Normal(0.0, 1.0))
    assert torch.allclose(kl_divergence(mean, logvar, free=0.0), wanted.sum(1), atol=1e-5)
    assert torch.allclose(kl_divergence(mean, logvar, free=0.1), (wanted - 0.1).clamp(min=0).sum(1), atol=1e-5)
    image = torch.rand(3, 1, 4, 4) * 2 - 1
    assert torch.equal(reconstruction_error(image, image, kind="l1"), torch.zeros(3))
    assert torch.allclose(reconstruction_error(image, image + 0.5, kind="l1"), torch.full((3,), 8.0))
    assert torch.allclose(reconstruction_error(image, image + 0.5, kind="l2"), torch.full((3,), 2.0))
    even = reconstruction_error(image, torch.zeros_like(image), kind="bce")
    assert torch.allclose(even, torch.full((3,), 16 * math.log(2)))
    assert torch.allclose(edge_error(image, image + 0.3), torch.zeros(3), atol=1e-5)


def test_the_deviation_learns_the_mean_absolute_error_and_moves_nothing_else() -> None:
    error = torch.full((1, 1, 4, 4), -0.3, requires_grad=True)
    deviation = torch.full((1, 1, 4, 4), 0.3, requires_grad=True)
    deviation_error(error, deviation).sum().backward()
    assert error.grad is None
    assert deviation.grad is not None
    assert float(deviation.grad.abs().max()) < 1e-5
    assert deviation_error(error, deviation * 1.5).item() > deviation_error(error, deviation).item()


def test_a_class_prior_draws_what_it_was_fitted_to() -> None:
    random = torch.Generator().manual_seed(0)
    label_N = torch.arange(2000) % 2
    stretch = torch.tensor([[2.0, 0.0], [1.0, 0.5]])
    code_NZ = torch.randn(2000, 2, generator=random) @ stretch.T + 4.0 * label_N[:, None]
    prior = LatentPrior(classes=3, components=3, latent=2)
    prior.fit(code_NZ, label_N, floor=1e-4, seed=0)
    for label in (0, 1):
        drawn = prior.draw(torch.full((4000,), label), seed=1)
        known = code_NZ[label_N == label]
        assert torch.allclose(drawn.mean(0), known.mean(0), atol=0.15)
        assert torch.allclose(drawn.T.cov(), known.T.cov(), atol=0.35)
    unseen = prior.draw(torch.full((4000,), 2), seed=1)
    assert torch.allclose(unseen.T.cov(), torch.eye(2), atol=0.1)


def test_wrong_labels_are_wrong_and_even() -> None:
    label_N = torch.arange(3000) % 3
    wrong_N = wrong_labels(label_N, torch.rand(3000, generator=torch.Generator().manual_seed(0)), 3)
    assert not bool((wrong_N == label_N).any())
    assert torch.bincount(wrong_N).min() > 900
    assert torch.equal(wrong_labels(torch.zeros(3, dtype=torch.int64), torch.rand(3), 1), torch.zeros(3))


def test_jitter_is_the_identity_at_zero_and_passes_gradients() -> None:
    image = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    middle, chance = torch.full((4, DRAWS), 0.5), torch.rand(4, DRAWS, generator=torch.Generator().manual_seed(1))
    assert torch.equal(Jitter(strength=0.0, mirror=False)(image, chance), image)
    assert torch.allclose(Jitter(strength=1.0, mirror=False)(image, middle), image, atol=1e-5)
    low, high = middle.clone(), middle.clone()
    low[:, 4], high[:, 4] = 0.1, 0.9
    mirrored = Jitter(strength=1.0, mirror=True)
    assert torch.allclose(mirrored(image, low), image.flip(3), atol=1e-5)
    assert torch.allclose(mirrored(image, high), image, atol=1e-5)
    asked = image.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(Jitter(strength=1.0, mirror=False)(asked, chance).sum(), asked)
    assert float(gradient.abs().mean()) > 0.1
