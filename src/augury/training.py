"""Run: the whole training apparatus on plain PyTorch: steps, resume, precision, ranks, moving averages, log.

    for step in run.loop(net=net, optimizer=optimizer, ema=ema):
        image_BCHW, condition = pairs[run.indices(len(pairs))]
        loss = run.update(net, optimizer, net_loss, image_BCHW, condition)
        ema.update(net)
        run.log(loss=loss)

The order of the images and all noise are functions of (seed, step, draw), so a checkpoint needs no loader state and a
resumed run is bit-equal to one that never stopped (same machine, same number of threads). Gradients are averaged by
hand because a gradient penalty, in a backward pass of its own, leaves the ranks of DistributedDataParallel with
different gradients and no error.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.optim import Optimizer

from augury.conditions.condition import Condition
from augury.data.cache import write_atomically
from augury.errors import UserError
from augury.nets.average import Ema as Ema
from augury.nets.batch_statistics import BatchStatistics

CHECKS = 50  # updates between two looks at the losses on a device that we would have to wait for


class Diverged(FloatingPointError):
    """A loss or a weight is no longer a number."""


class Stateful(Protocol):
    """What `Run.loop` can save and restore: modules, optimisers, schedulers, `Ema`."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take them back."""


class Run:
    """The steps of one training.

    `seed`, the step and a purpose determine all randomness. `batch` is the global batch over all ranks. With a
    `folder` the run saves itself there every `save_every` steps, goes on where it was, and writes log.jsonl; None
    keeps everything in memory. `precision` "bf16" autocasts the losses. `micro_batches` splits each update's batch
    to save memory; networks with batch statistics are then refused unless `statistics_per_micro_batch`. `clip`
    bounds the gradient's norm (None: it is not bounded). `report(step, steps)` is called after each step.
    """

    def __init__(
        self,
        *,
        seed: int,
        steps: int,
        batch: int,
        folder: Path | None = None,
        device: str = "cpu",
        precision: Literal["fp32", "bf16"] = "fp32",
        micro_batches: int = 1,
        statistics_per_micro_batch: bool = False,
        clip: float | None = None,
        save_every: int = 500,
        log_every: int = 50,
        report: Callable[[int, int], None] | None = None,
    ) -> None:
        self.seed, self.steps, self.batch, self.folder = seed, steps, batch, folder
        self.device, self.precision, self.clip = torch.device(device), precision, clip
        self.micro_batches, self.statistics_per_micro_batch = micro_batches, statistics_per_micro_batch
        self.save_every, self.log_every, self.report = save_every, log_every, report
        self.step, self.stopped = 0, False
        self.history: list[dict[str, float]] = []
        self.rank, self.ranks = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        self.drawn: Callable[[Condition, int], Tensor] | None = None  # what `offer` was given; None: nothing yet
        self._probes: list[tuple[int, Callable[[int], bool | None]]] = []
        self._unseen: list[tuple[int, Tensor]] = []
        self._orders: dict[tuple[int, int, int], Tensor] = {}
        self._owned: dict[tuple[int, int], tuple[nn.Module, Optimizer, list[Tensor]]] = {}

    # Steps

    def loop(self, **parts: Stateful) -> Iterator[int]:
        """Yield the steps that are still to be taken: restores `parts` on entry, saves them on cadence and at the end.

        Raises:
            Diverged: a loss was not finite; names the step.
            UserError: the folder holds a checkpoint of another run.
        """
        self._restore(parts)
        self._agree(parts)
        with _kept_random_state():
            while self.step < self.steps and not self.stopped:
                self._seed(self._number("module", self.rank))  # for dropout and the like
                yield self.step
                self._finish_step(parts)
        self._look()

    def _finish_step(self, parts: dict[str, Stateful]) -> None:
        taken = self.step + 1  # what a probe notes belongs to the step that ends here, as a restored log needs it
        verdicts = [probe(taken) for every, probe in self._probes if taken % every == 0]
        self.step, self.stopped = taken, any(verdicts)
        if self.step % self.save_every == 0 or self.step == self.steps or self.stopped:
            self._save(parts)
        if self.report is not None and self.rank == 0:
            self.report(self.step, self.steps)

    def watch(self, every: int, probe: Callable[[int], bool | None]) -> None:
        """Call `probe(steps taken)` every so many steps; the run stops where it returns True."""
        self._probes.append((every, probe))

    def offer(self, drawn: Callable[[Condition, int], Tensor]) -> None:
        """Give the probes something to look at: `drawn(condition, seed)` is image_BCHW of the model as it stands.

        It must leave the model as it is; what it does to torch's global randomness ends with the step.
        """
        self.drawn = drawn

    # Randomness: functions of (seed, step, purpose)

    def indices(self, n: int, *, draw: int = 0, batch: int | None = None, step: int | None = None) -> Tensor:
        """index_B (int64) of this step's global batch out of `n` items: every item once an epoch, in a fresh order.

        Each `draw` is a stream of its own. None takes the run's batch and its step.
        """
        size = self.batch if batch is None else batch
        first = size * (self.step if step is None else step)
        epochs = range(first // n, (first + size - 1) // n + 1)
        order = torch.cat([self._order(n, draw, epoch) for epoch in epochs])
        return order[first - epochs.start * n :][:size]

    def _order(self, n: int, draw: int, epoch: int) -> Tensor:
        key = (n, draw, epoch)
        if key not in self._orders:
            if len(self._orders) > 16:
                self._orders.clear()
            generator = torch.Generator().manual_seed(_number(self.seed, "order", *key))
            self._orders[key] = torch.randperm(n, generator=generator)
        return self._orders[key]

    def random(self, *purpose: int | str) -> torch.Generator:
        """A generator on the CPU that is a function of (seed, step, purpose)."""
        return torch.Generator().manual_seed(self._number(*purpose))

    def normal(self, *shape: int, draw: int = 0) -> Tensor:
        """Standard normal noise of this shape on the run's device, the same on every device."""
        return torch.randn(shape, generator=self.random("normal", draw)).to(self.device)

    @contextmanager
    def seeded(self, *purpose: int | str) -> Iterator[None]:
        """Within it torch's global randomness is a function of (seed, purpose): build networks here."""
        with _kept_random_state():
            self._seed(_number(self.seed, *purpose))
            yield

    def _seed(self, number: int) -> None:
        # torch.manual_seed would note a stack trace on machines whose CUDA is not in use, a millisecond each time.
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def _number(self, *purpose: int | str) -> int:
        return _number(self.seed, self.step, *purpose)

    # Updates

    def update(self, module: nn.Module, optimizer: Optimizer, loss: Callable[..., Tensor], *batch: Any) -> Tensor:
        """One optimiser step on `loss(*batch)`, a mean over the batch; returns the mean, detached.

        Tensors and Conditions in `batch` are the global batch (noise too: draw it for the whole batch and pass it);
        each rank and micro-batch gets its slice on the run's device. Only the parameters of `optimizer` that belong
        to `module` get gradients.
        """
        weights = self._weights(module, optimizer)
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for share, chunk in self._chunks(batch):
            with BatchStatistics(ranks=self.ranks, refuse=self._refuses_statistics), self._autocast():
                part = loss(*chunk).float() * share
            torch.autograd.backward(part, inputs=weights)
            total += part.detach()
        self._sum_over_ranks([*(w.grad for w in weights if w.grad is not None), total])
        self._expect_number(total)
        if self.clip is not None:
            nn.utils.clip_grad_norm_(weights, self.clip)
        optimizer.step()
        return total

    def _weights(self, module: nn.Module, optimizer: Optimizer) -> list[Tensor]:
        key = (id(module), id(optimizer))
        if key not in self._owned:  # walking through a module takes a tenth of a millisecond
            mine = {id(weight) for weight in module.parameters()}
            held = [weight for group in optimizer.param_groups for weight in group["params"] if id(weight) in mine]
            self._owned[key] = (module, optimizer, held)
        return [weight for weight in self._owned[key][2] if weight.requires_grad]

    def _chunks(self, batch: Sequence[Any]) -> Iterator[tuple[float, list[Any]]]:
        """This rank's (share of the global batch, slices), one for each micro-batch."""
        sizes = {len(part) for part in batch if _is_batch(part)}
        pieces = self.ranks * self.micro_batches
        if len(sizes) != 1 or min(sizes) < pieces:
            raise ValueError(
                f"parts of lengths {sorted(sizes)}; expected one length, at least {self.ranks} ranks x"
                f" {self.micro_batches} micro-batches; pass whole batches"
            )
        n = sizes.pop()
        for piece in range(self.rank * self.micro_batches, (self.rank + 1) * self.micro_batches):
            here = slice(n * piece // pieces, n * (piece + 1) // pieces)
            yield (here.stop - here.start) / n, [self._local(part, here) for part in batch]

    def _local(self, part: Any, here: slice) -> Any:
        sliced = part[here] if _is_batch(part) else part
        return sliced.to(self.device) if hasattr(sliced, "to") else sliced

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    @property
    def _refuses_statistics(self) -> bool:
        return self.micro_batches > 1 and not self.statistics_per_micro_batch

    def _sum_over_ranks(self, tensors: list[Tensor]) -> None:
        if self.ranks == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, whole in zip(tensors, torch.split(flat, [t.numel() for t in tensors]), strict=True):
            tensor.copy_(whole.view_as(tensor))

    def _expect_number(self, loss: Tensor) -> None:
        self._unseen.append((self.step, loss))
        if self.device.type == "cpu" or len(self._unseen) >= CHECKS:
            self._look()

    def _look(self) -> None:
        unseen, self._unseen = self._unseen, []
        for step, loss in unseen:
            if not torch.isfinite(loss):
                raise Diverged(f"the loss is {float(loss)} at step {step}; expected a number; lower the learning rate")

    # Log

    def log(self, **values: float | Tensor) -> None:
        """Note the values where the step is due for it (every `log_every` steps, and the last)."""
        if self.step % self.log_every == 0 or self.step == self.steps - 1:
            self.note(**values)

    def note(self, **values: float | Tensor) -> None:
        """Append one line to `history` and log.jsonl, at any step."""
        line = {"step": self.step, **{name: float(value) for name, value in values.items()}}
        self.history.append(line)
        if self.folder is not None and self.rank == 0:
            with (self.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")

    # Checkpoints

    @property
    def _facts(self) -> dict[str, int]:
        return {"seed": self.seed, "steps": self.steps, "batch": self.batch}

    def _save(self, parts: dict[str, Stateful]) -> None:
        self._look()
        for name, part in parts.items():
            if isinstance(part, nn.Module) and not all(torch.isfinite(w).all() for w in part.parameters()):
                raise Diverged(f"weights of {name} are not finite after step {self.step - 1}; lower the learning rate")
        if self.folder is None or self.rank != 0:
            return
        state = {name: part.state_dict() for name, part in parts.items()}
        buffer = io.BytesIO()
        torch.save({"facts": self._facts, "step": self.step, "stopped": self.stopped, "parts": state}, buffer)
        write_atomically(self.folder / "checkpoint.pt", buffer.getvalue())

    def _restore(self, parts: dict[str, Stateful]) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "checkpoint.pt"
        if path.exists():
            saved = torch.load(path, map_location=self.device, weights_only=True)
            if saved["facts"] != self._facts:
                raise UserError(f"{path} is of a run {saved['facts']}; expected {self._facts}; choose another folder")
            for name, part in parts.items():
                part.load_state_dict(saved["parts"][name])
            self.step, self.stopped = saved["step"], saved["stopped"]
        self._rewind_log(self.folder / "log.jsonl")

    def _rewind_log(self, path: Path) -> None:
        """Drop what was logged after the restored step; the last line may be torn."""
        lines = path.read_text().splitlines() if path.exists() else []
        self.history = [line for text in lines if (line := _parsed(text)) is not None and line["step"] < self.step]
        if self.rank == 0:
            write_atomically(path, "".join(json.dumps(line) + "\n" for line in self.history))

    def _agree(self, parts: dict[str, Stateful]) -> None:
        """All ranks start from the weights of the first."""
        if self.ranks > 1:
            dist.barrier()
            for part in parts.values():
                module = part.module if isinstance(part, Ema) else part
                if isinstance(module, nn.Module):
                    for value in module.state_dict().values():
                        dist.broadcast(value, 0)


def _number(*purpose: int | str) -> int:
    """A 63-bit number that is a function of the purpose, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(purpose).encode(), digest_size=8).digest(), "big") >> 1


def _is_batch(part: Any) -> bool:
    """Tensors with a first axis, and conditions that are not empty."""
    return part.ndim > 0 if isinstance(part, Tensor) else hasattr(part, "to") and len(part) > 0


def _parsed(text: str) -> dict[str, float] | None:
    try:
        line: dict[str, float] = json.loads(text)
    except json.JSONDecodeError:
        return None
    return line


@contextmanager
def _kept_random_state() -> Iterator[None]:
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)
