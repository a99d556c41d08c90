"""How `flow` is trained, step by step: first the model itself, then in the last steps the student that learns from it.

B batch, N images, C channels, H height, W width, D uniform draws.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.conditions.shape import Shape
from augury.generators import flow_objective as objective
from augury.generators import flow_student as student
from augury.generators.adversarial import slope
from augury.generators.chunks import chunks
from augury.generators.flow_settings import FlowConfig
from augury.generators.flow_told import hearing, narrowed
from augury.generators.flow_warps import DRAWS, warped
from augury.nets.denoiser import Denoiser
from augury.nets.power_average import PowerAverages
from augury.training import Run, Stateful

RISE = 0.02  # share of the steps in which the learning rate rises
FALL = 0.3  # of those in which it falls
BETAS = (0.9, 0.99)  # of Adam


class Scale(nn.Module):
    """Images shifted and scaled to mean 0 and variance 1 over the training set, channel by channel, and back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean_C", torch.zeros(channels))
        self.register_buffer("sd_C", torch.ones(channels))
        self.mean_C: Tensor
        self.sd_C: Tensor

    def measure(self, train: Pairs) -> None:
        """Take mean and standard deviation of all pixels."""
        total_C = square_C = torch.zeros(len(self.mean_C), dtype=torch.float64)
        for part in chunks(len(train)):
            image_BCHW = train[torch.arange(part.start, part.stop)][0].double()
            total_C = total_C + image_BCHW.mean((2, 3)).sum(0)
            square_C = square_C + image_BCHW.square().mean((2, 3)).sum(0)
        mean_C, square_C = total_C / len(train), square_C / len(train)
        self.mean_C.copy_(mean_C)
        self.sd_C.copy_((square_C - mean_C.square()).clamp(min=1e-4).sqrt())

    def data(self, image_BCHW: Tensor) -> Tensor:
        """data_BCHW of unit variance."""
        return (image_BCHW - self.mean_C[:, None, None]) / self.sd_C[:, None, None]

    def image(self, data_BCHW: Tensor) -> Tensor:
        """image_BCHW in [-1, 1]."""
        return (data_BCHW * self.sd_C[:, None, None] + self.mean_C[:, None, None]).clamp(-1.0, 1.0)

    def bound(self) -> tuple[Tensor, Tensor]:
        """The smallest and the largest value that data can have."""
        one = torch.ones(len(self.mean_C), 1, 1, device=self.mean_C.device)
        return self.data(-one), self.data(one)


class Course:
    """The training of the networks of a `flow`: `take` one step after another, then `finish`."""

    def __init__(self, config: FlowConfig, nets: nn.ModuleDict, *, train: Pairs, shape: Shape, run: Run) -> None:
        self.config, self.nets, self.train, self.shape, self.run = config, nets, train, shape, run
        self.first = 0  # the step at which the model's own training begins
        self.own = max(1, round((run.steps - self.first) / (1 + config.extra)))  # its steps; the rest are a student's
        if config.objective == "flow":
            self.scale.measure(train)
        self.net: Denoiser = copy.deepcopy(nets["mean"]).train()  # type: ignore[assignment]
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.rate, betas=BETAS)
        self.averages = PowerAverages(self.net, lengths=config.lengths, snapshots=config.snapshots, updates=self.own)
        self.student: Denoiser | None = nets["student"] if config.extra else None  # type: ignore[assignment]
        if self.student is not None:
            self.student_optimizer = torch.optim.Adam(self.student.parameters(), config.rate, betas=BETAS)
        self.kept_N = objective.signal(config.schedule)
        self.ready = False  # whether the student has its teacher

    @property
    def scale(self) -> Scale:
        """From images to data."""
        return self.nets["scale"]  # type: ignore[return-value]

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        parts: dict[str, Stateful] = {"net": self.net, "optimizer": self.optimizer, "averages": self.averages}
        if self.student is not None:
            parts |= {"student": self.student, "student_optimizer": self.student_optimizer}
        return parts

    def take(self, step: int) -> None:
        """One step of the model or, after those, of the student."""
        if step - self.first < self.own:
            self._teach(step - self.first)
        else:
            self._teach_student(step - self.first - self.own)

    def finish(self) -> None:
        """Put what was learned into the networks that draw."""
        self.averages.into(self.nets["mean"])
        self.nets["history"].load_state_dict(self.averages.history.state_dict())
        if self.student is not None and self.run.step <= self.first + self.own:
            self.student.load_state_dict(self.nets["mean"].state_dict())

    def _teach(self, step: int) -> None:
        self.optimizer.param_groups[0]["lr"] = self.config.rate * rate(step, self.own)
        data_BCHW, condition, done_BA = self._batch(augmented=True)
        noise_BCHW, time_B = self.run.normal(*data_BCHW.shape), self._times(len(data_BCHW))

        def loss(
            data_BCHW: Tensor, condition: Condition, done_BA: Tensor, noise_BCHW: Tensor, time_B: Tensor
        ) -> Tensor:
            told = hearing(self.net, condition, augment_BA=done_BA)
            if self.config.objective == "flow":
                return objective.flow_error(told, data_BCHW, noise_BCHW, time_B).mean()
            return objective.ddpm_error(told, data_BCHW, noise_BCHW, step_B=time_B, kept_N=self.kept_N).mean()

        total = self.run.update(self.net, self.optimizer, loss, data_BCHW, condition, done_BA, noise_BCHW, time_B)
        self.averages.update(self.net)
        self.run.log(loss=total, gradient=slope(self.net))

    def _teach_student(self, step: int) -> None:
        assert self.student is not None
        pupil, teacher = self.student, self._teacher(step)
        steps = self.run.steps - self.first - self.own
        self.student_optimizer.param_groups[0]["lr"] = self.config.rate * rate(step, steps, rise=0.1, fall=0.9) / 2
        data_BCHW, condition, _ = self._batch(augmented=False)
        noise_BCHW = self.run.normal(*data_BCHW.shape)
        uniform_B = torch.rand(len(data_BCHW), generator=self.run.random("window"))
        borders = student.knots(self.config.student_steps)

        def loss(data_BCHW: Tensor, condition: Condition, noise_BCHW: Tensor, uniform_B: Tensor) -> Tensor:
            told = hearing(teacher, condition)

            def field(x_BCHW: Tensor, time_B: Tensor) -> Tensor:
                return objective.velocity(told, x_BCHW, time_B)

            return student.student_error(
                hearing(pupil, condition), field, data_BCHW, noise_BCHW, uniform_B=uniform_B, borders=borders
            ).mean()

        total = self.run.update(pupil, self.student_optimizer, loss, data_BCHW, condition, noise_BCHW, uniform_B)
        self.run.log(student=total)

    def _teacher(self, step: int) -> Denoiser:
        """The averaged model, which no longer changes; the student begins as its equal."""
        mean: Denoiser = self.nets["mean"]  # type: ignore[assignment]
        if not self.ready:
            self.averages.into(mean)
            mean.eval()
            self.ready = True
            if step == 0 and self.student is not None:
                self.student.load_state_dict(mean.state_dict())
        return mean

    def _batch(self, *, augmented: bool) -> tuple[Tensor, Condition, Tensor]:
        """data_BCHW on the CPU or where the run is, its condition, some dropped, and what was done to the images."""
        run, config = self.run, self.config
        image_BCHW, condition = self.train[run.indices(len(self.train))]
        condition = narrowed(condition, config, self.shape)
        keep_B = torch.rand(len(image_BCHW), generator=run.random("drop")) >= config.drop
        condition = replace(condition, keep_B=keep_B)
        uniform_BD = torch.rand(len(image_BCHW), DRAWS, generator=run.random("warp"))
        warps = config.warps if augmented else replace(config.warps, chance=0.0)
        image_BCHW, condition, done_BA = warped(image_BCHW, condition, uniform_BD, warps=warps)
        return self.scale.data(image_BCHW.to(run.device)), condition, done_BA

    def _times(self, count: int) -> Tensor:
        """time_B of a flow, or step_B of ddpm's schedule (int64)."""
        random = self.run.random("times")
        if self.config.objective == "ddpm":
            return torch.randint(objective.NOISES, (count,), generator=random)
        normal_B = torch.randn(count, generator=random)
        return objective.logit_normal(normal_B, mean=self.config.time_mean, sd=self.config.time_sd)


def rate(step: int, steps: int, *, rise: float = RISE, fall: float = FALL) -> float:
    """A linear rise, then constant, then a linear fall to nothing, as a share of the largest rate."""
    return min(1.0, (step + 1) / max(1.0, rise * steps), (steps - step) / max(1.0, fall * steps))
