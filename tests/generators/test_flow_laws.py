"""Closed forms: what a flow of Gaussian data is, what its samplers must find, and how fast they come near."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from augury.generators import flow_objective as objective
from augury.generators import flow_sampling as samplers
from augury.generators import flow_student as student

MEAN, SD = 0.7, 0.3


def flow_of_a_gaussian(x_BCHW: Tensor, time_B: Tensor) -> Tensor:
    """E[noise - data | x_t] where data are normal with mean 0.7 and standard deviation 0.3."""
    t = objective.along(time_B)
    variance = (1 - t).square() * SD**2 + t.square()
    gain = (t - (1 - t) * SD**2) / variance
    return -MEAN + gain * (x_BCHW - (1 - t) * MEAN)


def noise_of_a_gaussian(kept_N: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """E[noise | x] after each step of a schedule, for the same data."""

    def field(x_BCHW: Tensor, told_B: Tensor) -> Tensor:
        kept = objective.along(kept_N[(told_B * objective.NOISES).round().long()])
        return (1 - kept).sqrt() * (x_BCHW - kept.sqrt() * MEAN) / (kept * SD**2 + 1 - kept)

    return field


def normal(n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ends_of_a_gaussian(noise_BCHW: Tensor) -> Tensor:
    """Where the flow takes each noise: the transport between two normal distributions keeps ranks."""
    return MEAN + SD * noise_BCHW


@pytest.mark.parametrize("sampler", [samplers.euler, samplers.heun])
def test_samples_have_the_mean_and_the_deviation_of_the_data(sampler: Callable[..., Tensor]) -> None:
    drawn = sampler(flow_of_a_gaussian, normal(4000), samplers.times(64))
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.02)
    assert float(drawn.std()) == pytest.approx(SD, rel=0.05)


@pytest.mark.parametrize(("sampler", "order"), [(samplers.euler, 1), (samplers.heun, 2)])
def test_the_order_of_the_samplers(sampler: Callable[..., Tensor], order: int) -> None:
    """Twice the steps divide the error by two to the order, down to a time that is not 0 (where Heun is Euler)."""
    noise, errors = normal(50), []
    end = 0.1
    spread = math.sqrt((1 - end) ** 2 * SD**2 + end**2)
    exact = (1 - end) * MEAN + spread * noise
    for steps in (16, 32, 64):
        knots = [1 - (1 - end) * step / steps for step in range(steps + 1)]
        errors.append(float((sampler(flow_of_a_gaussian, noise, knots) - exact).abs().mean()))
    for first, second in pairwise(errors):
        assert math.log2(first / second) == pytest.approx(order, abs=0.25)


def test_one_step_over_a_whole_window_is_the_students_aim() -> None:
    noise = normal(64)
    ones, zeros = torch.ones(64, dtype=torch.float64), torch.zeros(64, dtype=torch.float64)
    found = student.ends(flow_of_a_gaussian, noise, ones, zeros, substeps=200)
    assert torch.allclose(found, ends_of_a_gaussian(noise), atol=1e-3)


def test_the_preconditioned_target_has_unit_variance_and_nothing_linear_left() -> None:
    data, noise = normal(200_000, 1), normal(200_000, 2)
    for time in (0.02, 0.3, 0.5, 0.8, 0.98):
        time_B = torch.full((len(data),), time, dtype=torch.float64)
        x = objective.noised(data, noise, time_B)
        aim = objective.residual(x, noise - data, time_B)
        assert float(aim.std()) == pytest.approx(1, rel=0.01)
        assert float((aim * x).mean()) == pytest.approx(0, abs=0.01)
        scale = objective.preconditioner(time_B)[1]
        assert float((scale * x).std()) == pytest.approx(1, rel=0.01)


def test_velocity_and_residual_are_inverse() -> None:
    data, noise, time_B = normal(16, 1), normal(16, 2), torch.rand(16, dtype=torch.float64)
    x = objective.noised(data, noise, time_B)
    aim = objective.residual(x, noise - data, time_B)
    assert torch.allclose(objective.velocity(lambda _x, _t: aim, x, time_B), noise - data)


def test_logit_normal_times() -> None:
    time_B = objective.logit_normal(torch.randn(100_000, generator=torch.Generator().manual_seed(0)), mean=0.4, sd=1.5)
    assert 0 < float(time_B.min()) < float(time_B.max()) < 1
    assert float(time_B.logit().mean()) == pytest.approx(0.4, abs=0.02)
    assert float(time_B.logit().std()) == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear"])
def test_schedules_end_in_noise(schedule: str) -> None:
    kept_N = objective.signal(schedule)  # type: ignore[arg-type]
    assert len(kept_N) == 1000
    assert bool((kept_N.diff() < 0).all())
    first, last = {"linear": (1 - 1e-4, 4e-5), "scaled_linear": (1 - 0.00085, 4.7e-3)}[schedule]
    assert float(kept_N[0]) == pytest.approx(first, abs=1e-6)
    assert float(kept_N[-1]) == pytest.approx(last, rel=0.05)


@pytest.mark.parametrize(("eta", "steps"), [(0.0, 100), (1.0, 1000)])
def test_ddpm_samples_have_the_mean_and_the_deviation_of_the_data(eta: float, steps: int) -> None:
    drawn = denoised(normal(2000), eta=eta, steps=steps, seed=0)
    assert float(drawn.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(drawn.std()) == pytest.approx(SD, rel=0.06)


def test_ddim_is_a_function_of_the_noise_and_ancestral_sampling_is_not() -> None:
    noise = normal(8)
    assert torch.equal(denoised(noise, eta=0.0, steps=10, seed=1), denoised(noise, eta=0.0, steps=10, seed=2))
    assert not torch.equal(denoised(noise, eta=1.0, steps=10, seed=1), denoised(noise, eta=1.0, steps=10, seed=2))


def test_guidance_goes_through_the_told_field() -> None:
    x, time_B = normal(3), torch.rand(3, dtype=torch.float64)
    told, other = (lambda x, _t: 2 * x), (lambda x, _t: -x)
    for strength, factor in ((0.0, -1.0), (1.0, 2.0), (3.0, 8.0)):
        assert torch.allclose(samplers.guided(told, other, strength)(x, time_B), factor * x)


def denoised(noise_BCHW: Tensor, *, eta: float, steps: int, seed: int) -> Tensor:
    kept_N = objective.signal("linear").double()
    bound = (torch.tensor(-9.0, dtype=torch.float64), torch.tensor(9.0, dtype=torch.float64))
    return samplers.denoise(
        noise_of_a_gaussian(kept_N), noise_BCHW, kept_N=kept_N, steps=steps, eta=eta, bound=bound,
        random=torch.Generator().manual_seed(seed),
    )  # fmt: skip
