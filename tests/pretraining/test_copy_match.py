"""The encoder of copies: its loss, that it learns, that it is saved, resumed and repeated exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from augury.data.phantoms import PHANTOMS, render
from augury.pretraining.copy_match import CopyMatch, CopyMatchConfig, nt_xent
from augury.training import Run

SMALL = CopyMatchConfig(width=8, dim=32)


@pytest.fixture(scope="module")
def image_NCHW() -> np.ndarray:
    return render(PHANTOMS["breast"](size=32), n=48, seed=0).image_NHWC.transpose(0, 3, 1, 2)


def test_the_loss_is_that_of_the_paper() -> None:
    """Equation 1 of Chen 2020, by loops."""
    z = torch.nn.functional.normalize(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    total = 0.0
    for i in range(6):
        partner = (i + 3) % 6
        others = sum(torch.exp(z[i] @ z[k] / 0.5) for k in range(6) if k != i)
        total += float(-torch.log(torch.exp(z[i] @ z[partner] / 0.5) / others))
    assert float(nt_xent(z, temperature=0.5)) == pytest.approx(total / 6, rel=1e-5)


def test_it_learns_to_find_the_altered_image(image_NCHW: np.ndarray) -> None:
    run = Run(seed=0, steps=60, batch=48)
    net = CopyMatch(SMALL, 1).fit(image_NCHW, run)
    noisy = np.clip(image_NCHW + np.random.default_rng(0).normal(0, 8, image_NCHW.shape), 0, 255).astype(np.uint8)
    nearest = (net(noisy) @ net(image_NCHW).T).argmax(1)
    assert (nearest == np.arange(48)).mean() > 0.9
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]


def test_vectors_have_length_one_and_come_back_from_a_file(image_NCHW: np.ndarray, tmp_path: Path) -> None:
    net = CopyMatch(SMALL, 1).fit(image_NCHW, Run(seed=0, steps=2, batch=16))
    z = net(image_NCHW)
    assert z.shape == (48, 32)
    assert np.allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)
    net.save(tmp_path)
    assert np.array_equal(CopyMatch(SMALL, 1).restore(tmp_path)(image_NCHW), z)
    assert net(image_NCHW[:0]).shape == (0, 32)


def test_resumed_equals_uninterrupted(image_NCHW: np.ndarray, tmp_path: Path) -> None:
    whole = CopyMatch(SMALL, 1).fit(image_NCHW, Run(seed=1, steps=6, batch=16))

    def stop(step: int) -> bool:
        return step == 3

    first = Run(seed=1, steps=6, batch=16, folder=tmp_path)
    first.watch(1, stop)
    CopyMatch(SMALL, 1).fit(image_NCHW, first)
    # The checkpoint says that it was stopped; going on is a new run of the same facts.
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    torch.save({**saved, "stopped": False}, tmp_path / "checkpoint.pt")
    resumed = CopyMatch(SMALL, 1).fit(image_NCHW, Run(seed=1, steps=6, batch=16, folder=tmp_path))
    assert np.array_equal(resumed(image_NCHW), whole(image_NCHW))


def test_one_image_cannot_be_told_apart(image_NCHW: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least two"):
        CopyMatch(SMALL, 1).fit(image_NCHW[:1], Run(seed=0, steps=1, batch=1))
