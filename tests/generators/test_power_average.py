"""Any average's length afterwards, against the average that was kept while training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from augury.nets.power_average import PowerAverages, combination, exponent, pour, product


def course(steps: int) -> torch.Tensor:
    """weight_TP of a training: a fall to its end, a wave and noise."""
    time_T1 = torch.linspace(0, 1, steps)[:, None]
    noise_TP = torch.randn(steps, 3, generator=torch.Generator().manual_seed(0))
    return torch.cat([(-3 * time_T1).exp(), (9 * time_T1).sin(), time_T1**2], 1) + 0.1 * noise_TP


def averaged(weight_TP: torch.Tensor, length: float, *, updates: int) -> torch.Tensor:
    """The closed form: update k has the profile's integral over (k - 1, k]."""
    g = exponent(length)
    place_T = torch.arange(updates + 1, dtype=torch.float64) / updates
    share_T = (place_T[1:] ** (g + 1) - place_T[:-1] ** (g + 1))[:, None]
    return (share_T * weight_TP[:updates].double()).sum(0)


def trained(weight_TP: torch.Tensor, *, snapshots: int) -> PowerAverages:
    net = nn.Linear(2, 1)
    averages = PowerAverages(net, lengths=(0.05, 0.1), snapshots=snapshots, updates=len(weight_TP))
    for weight_P in weight_TP:
        pour(weight_P, net)
        averages.update(net)
    return averages


def test_the_exponent_gives_the_length() -> None:
    for length in (0.02, 0.05, 0.1, 0.2):
        g = exponent(length)
        assert np.sqrt((g + 1) / ((g + 2) ** 2 * (g + 3))) == pytest.approx(length)
    with pytest.raises(ValueError, match=r"less than 0\.288"):
        exponent(0.3)


def test_running_averages_are_the_closed_form() -> None:
    weight_TP = course(200)
    averages = trained(weight_TP, snapshots=4)
    net = nn.Linear(2, 1)
    for place, length in enumerate((0.05, 0.1)):
        averages.into(net, average=place)
        found_P = torch.cat([weight.detach().reshape(-1) for weight in net.parameters()])
        assert torch.allclose(found_P.double(), averaged(weight_TP, length, updates=200), atol=1e-4)


@pytest.mark.parametrize("length", [0.04, 0.05, 0.07, 0.1, 0.15])
def test_other_lengths_are_recovered(length: float) -> None:
    weight_TP = course(400)
    history = trained(weight_TP, snapshots=16).history
    for updates in (400, 300):
        wanted_P = averaged(weight_TP, length, updates=updates)
        assert torch.allclose(history.at(length, updates=updates).double(), wanted_P, atol=0.02), updates
    short_P = averaged(weight_TP, 0.02, updates=400)
    assert not torch.allclose(short_P, averaged(weight_TP, length, updates=400), atol=0.02)


def test_a_length_that_was_kept_is_its_own_copy() -> None:
    time_X, power_X = np.array([100.0, 100.0, 200.0, 200.0]), np.array([exponent(0.05), exponent(0.1)] * 2)
    share_X = combination(time_X, power_X, time=200.0, power=exponent(0.1))
    assert share_X == pytest.approx([0, 0, 0, 1], abs=1e-6)


def test_the_product_of_profiles_is_their_integral() -> None:
    time_a, time_b, power_a, power_b = 30.0, 50.0, 16.0, 7.0
    at_T = np.linspace(0, 50, 500_001)
    first_T = np.where(at_T <= time_a, (power_a + 1) * at_T**power_a / time_a ** (power_a + 1), 0.0)
    second_T = (power_b + 1) * at_T**power_b / time_b ** (power_b + 1)
    found = product(*(np.array([value]) for value in (time_a, power_a, time_b, power_b)))
    assert found[0] == pytest.approx(np.trapezoid(first_T * second_T, at_T), rel=1e-3)


def test_without_copies_no_length_is_recovered() -> None:
    with pytest.raises(ValueError, match="no average was laid aside"):
        trained(course(5), snapshots=0).history.at(0.05)
