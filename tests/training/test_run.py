"""Laws of training.Run: resume is bit-equal, however split it is the same training, and it says when it fails."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from augury.errors import UserError
from augury.training import Diverged, Ema, Run

PROGRAM = Path(__file__).with_name("scenarios.py")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("training_scenarios", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


scenarios = _load()


@pytest.mark.parametrize("stop_at", [1, 5, 6, 13])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path: Path, stop_at: int) -> None:
    """Two optimisers, a gradient penalty, dropout, a schedule and an average; killed twice."""

    def train(folder: Path | None, stop_at: int | None = None) -> tuple[torch.Tensor, list[dict[str, float]]]:
        run = Run(seed=3, steps=15, batch=8, folder=folder, save_every=5, log_every=1)
        return scenarios.adversarial(run, stop_at=stop_at, dropout=0.3), run.history

    whole, whole_log = train(None)
    for _ in range(2):
        train(tmp_path, stop_at)
    for weights, log in (train(tmp_path), train(tmp_path)):  # resumed, then finished already
        assert torch.equal(whole, weights)
        assert whole_log == log
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == whole_log


def test_another_seed_is_another_training() -> None:
    first, second = (scenarios.adversarial(Run(seed=seed, steps=3, batch=8)) for seed in (1, 2))
    assert not torch.equal(first, second)


def test_the_callers_randomness_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    scenarios.adversarial(Run(seed=1, steps=2, batch=8))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("name", scenarios.SPLITTABLE)
@pytest.mark.parametrize("pieces", [2, 3])
def test_micro_batches_equal_the_whole_batch(name: str, pieces: int) -> None:
    scenario = scenarios.SPLITTABLE[name]
    torch.testing.assert_close(scenario(pieces), scenario(1), atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, torch.Tensor]]:
    """The weights of each of two gloo ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    outs = [folder / f"{rank}.pt" for rank in range(2)]
    running = [
        subprocess.Popen([sys.executable, str(PROGRAM), str(rank), "2", str(folder / "meeting"), str(out)])
        for rank, out in enumerate(outs)
    ]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    return [torch.load(out, weights_only=True) for out in outs]


@pytest.mark.parametrize("name", [*scenarios.SPLITTABLE, *scenarios.RANKS_ONLY])
def test_two_ranks_equal_one(ranks: list[dict[str, torch.Tensor]], name: str) -> None:
    first, second = (weights[name] for weights in ranks)
    assert torch.equal(first, second), "the ranks drifted apart"
    alone = {**scenarios.SPLITTABLE, **scenarios.RANKS_ONLY}[name](1)
    torch.testing.assert_close(first, alone, atol=1e-5, rtol=0)


def test_batch_statistics_with_micro_batches_are_refused_unless_allowed() -> None:
    with pytest.raises(ValueError, match="batch statistics with micro-batches"):
        scenarios.classifier(Run(seed=1, steps=2, batch=8, micro_batches=2))
    scenarios.classifier(Run(seed=1, steps=2, batch=8, micro_batches=2, statistics_per_micro_batch=True))


def _train(run: Run, *, poison_at: int) -> nn.Linear:
    net = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    for step in run.loop(net=net, optimizer=optimizer):
        factor = float("nan") if step == poison_at else 1.0
        run.update(net, optimizer, lambda item, factor: factor * net(item).square().mean(), scenarios.ITEMS, factor)
    return net


def test_a_loss_that_is_no_number_names_its_step_and_is_never_saved(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="at step 7"):
        _train(Run(seed=1, steps=20, batch=40, folder=tmp_path, save_every=1), poison_at=7)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 7
    assert all(torch.isfinite(value).all() for value in saved["parts"]["net"].values())


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    _train(Run(seed=1, steps=2, batch=40, folder=tmp_path), poison_at=-1)
    with pytest.raises(UserError, match="another folder"):
        _train(Run(seed=2, steps=2, batch=40, folder=tmp_path), poison_at=-1)


def test_a_torn_line_of_the_log_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 3, "loss": 1.0}\n{"step": 4, "lo')
    run = Run(seed=1, steps=1, batch=40, folder=tmp_path)
    _train(run, poison_at=-1)
    assert (tmp_path / "log.jsonl").read_text() == ""


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (10, 25), (7, 7)])
def test_indices_show_every_item_once_an_epoch(n: int, batch: int) -> None:
    run = Run(seed=4, steps=100, batch=batch)
    stream = torch.cat([run.indices(n, step=step) for step in range(n)])
    epochs = stream.view(batch, n)
    assert all(sorted(epoch.tolist()) == list(range(n)) for epoch in epochs)
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == len(epochs) > 1


def test_indices_and_noise_are_functions_of_seed_step_and_draw() -> None:
    one, two = Run(seed=4, steps=9, batch=8), Run(seed=4, steps=9, batch=8)
    one.indices(100, step=5)
    assert torch.equal(one.indices(100, step=3), two.indices(100, step=3))
    assert not torch.equal(one.indices(100), one.indices(100, draw=1))
    assert torch.equal(one.normal(4), two.normal(4))
    two.step = 1
    assert not torch.equal(one.normal(4), two.normal(4))
    assert not torch.equal(one.normal(4), one.normal(4, draw=1))


def test_a_probe_stops_the_run_for_good(tmp_path: Path) -> None:
    def run() -> Run:
        run = Run(seed=1, steps=20, batch=40, folder=tmp_path)
        run.watch(3, lambda taken: taken >= 6)
        return run

    first, second = run(), run()
    _train(first, poison_at=-1)
    _train(second, poison_at=0)
    assert (first.step, second.step) == (6, 6)


def test_progress_is_reported_after_every_step() -> None:
    seen: list[tuple[int, int]] = []
    _train(Run(seed=1, steps=3, batch=40, report=lambda step, steps: seen.append((step, steps))), poison_at=-1)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_parts_of_different_lengths_are_refused() -> None:
    net = nn.Linear(3, 1)
    with pytest.raises(ValueError, match="one length"):
        Run(seed=1, steps=1, batch=4).update(
            net, torch.optim.SGD(net.parameters(), 0.1), lambda a, _: net(a).mean(), torch.zeros(4, 3), torch.zeros(3)
        )


def test_an_update_moves_only_its_own_module() -> None:
    mine, other = nn.Linear(3, 3), nn.Linear(3, 1)
    Run(seed=1, steps=1, batch=4).update(
        mine, torch.optim.SGD(mine.parameters(), 0.1), lambda a: other(mine(a)).mean(), torch.ones(4, 3)
    )
    assert all(weight.grad is None for weight in other.parameters())
    assert all(weight.grad is not None for weight in mine.parameters())


def test_an_average_follows_its_closed_form() -> None:
    """Weights jump from 0 to 1: after t updates with constant decay d the average is 1 - d^t."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    ema = Ema(net, half_life=4)
    ema.updates = 10**6  # past the early updates, whose decay is smaller
    nn.init.ones_(net.weight)
    for _ in range(8):
        ema.update(net)
    assert float(ema.module.weight) == pytest.approx(1 - 0.5 ** (8 / 4), abs=1e-6)
