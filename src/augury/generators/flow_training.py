"""How `flow` is trained, step by step: the model itself, then in the last steps the student that learns from it.

Before the model come the steps of the autoencoder, in latent space. A model steered by a branch trains its trunk first,
then the branch alone. What was inherited from another model takes no steps of its own.

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
from augury.generators.flow_settings import FlowConfig
from augury.generators.flow_space import Scale, Space, at_size
from augury.generators.flow_told import hearing, narrowed
from augury.generators.flow_warps import DRAWS, warped
from augury.generators.latent_space import LatentSpace
from augury.generators.latent_training import LatentCourse
from augury.nets.control import Steered
from augury.nets.denoiser import Denoiser
from augury.nets.power_average import PowerAverages
from augury.training import Run, Stateful

RISE = 0.02  # share of the steps in which the learning rate rises
FALL = 0.3  # of those in which it falls
BETAS = (0.9, 0.99)  # of Adam


class Course:
    """The training of the networks of a `flow`: `take` one step after another, then `finish`."""

    def __init__(
        self, config: FlowConfig, nets: nn.ModuleDict, *, train: Pairs, shape: Shape, run: Run, inherited: bool = False
    ) -> None:
        self.config, self.nets, self.train, self.shape, self.run = config, nets, train, shape, run
        self.latent = self._latent(inherited=inherited)
        self.first = self.latent.steps if self.latent is not None else 0  # steps before the model's
        # Steps of the model itself; the rest are a student's.
        self.own = max(1, round((run.steps - self.first) / (1 + config.extra)))
        self.net: Denoiser | Steered = copy.deepcopy(nets["mean"]).train()  # type: ignore[assignment]
        branched = isinstance(self.net, Steered) and not inherited
        self.trunk = min(self.own - 1, round(config.trunk_share * self.own)) if branched else 0
        self.optimizer = torch.optim.Adam(self.net.parameters(), config.rate, betas=BETAS)
        self.averages = PowerAverages(self.net, lengths=config.lengths, snapshots=config.snapshots, updates=self.own)
        self.student: Denoiser | Steered | None = nets["student"] if config.extra else None  # type: ignore[assignment]
        if self.student is not None:
            self.student_optimizer = torch.optim.Adam(self.student.parameters(), config.rate, betas=BETAS)
        self.kept_N = objective.signal(config.schedule)
        self.ready = False  # whether the student has its teacher

    def _latent(self, *, inherited: bool) -> LatentCourse | None:
        """The autoencoder's part, in latent space; pixels are measured at once."""
        space, latent = self.scale, self.config.latent
        if isinstance(space, LatentSpace) and latent is not None:
            return LatentCourse(latent, space, train=self.train, run=self.run, trained=inherited)
        if isinstance(space, Scale) and self.config.objective == "flow":
            space.measure(self.train)
        return None

    @property
    def scale(self) -> Space:
        """From images to data."""
        return self.nets["scale"]  # type: ignore[return-value]

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint holds."""
        parts: dict[str, Stateful] = {"net": self.net, "optimizer": self.optimizer, "averages": self.averages}
        if self.latent is not None:
            parts |= self.latent.parts()
        if self.student is not None:
            parts |= {"student": self.student, "student_optimizer": self.student_optimizer}
        return parts

    def take(self, step: int) -> None:
        """One step of the autoencoder, of the model or, after those, of the student; they count from 0 each."""
        step -= self.first
        if self.latent is not None and step < 0:
            self.latent.take(step + self.first)
            return
        if self.latent is not None and step == 0:
            self.latent.settle()
        if step < self.own:
            self._teach(step)
        else:
            self._teach_student(step - self.own)

    def finish(self) -> None:
        """Put what was learned into the networks that draw."""
        self.averages.into(self.nets["mean"])
        self.nets["history"].load_state_dict(self.averages.history.state_dict())
        if self.student is not None and self.run.step <= self.first + self.own:
            self.student.load_state_dict(self.nets["mean"].state_dict())

    def _teach(self, step: int) -> None:
        self.optimizer.param_groups[0]["lr"] = self.config.rate * self._pace(step)
        net = self._learner(step)
        data_BCHW, condition, done_BA = self._batch(augmented=True)
        if step < self.trunk:
            condition = replace(condition, map_BKHW=None, maps=())
        noise_BCHW, time_B = self.run.normal(*data_BCHW.shape), self._times(len(data_BCHW))

        def loss(
            data_BCHW: Tensor, condition: Condition, done_BA: Tensor, noise_BCHW: Tensor, time_B: Tensor
        ) -> Tensor:
            told = hearing(net, condition, augment_BA=done_BA)
            if self.config.objective == "flow":
                return objective.flow_error(told, data_BCHW, noise_BCHW, time_B).mean()
            return objective.ddpm_error(told, data_BCHW, noise_BCHW, step_B=time_B, kept_N=self.kept_N).mean()

        total = self.run.update(self.net, self.optimizer, loss, data_BCHW, condition, done_BA, noise_BCHW, time_B)
        self.averages.update(self.net)
        self.run.log(loss=total, gradient=slope(self.net))

    def _pace(self, step: int) -> float:
        """The learning rate's share: trunk and branch have a rise and a fall each."""
        if step < self.trunk:
            return rate(step, self.trunk)
        return rate(step - self.trunk, self.own - self.trunk)

    def _learner(self, step: int) -> Denoiser | Steered:
        """What learns at this step: the net or, of a steered one, the trunk without maps and then the branch."""
        if not isinstance(self.net, Steered):
            return self.net
        if self.trunk and step == self.trunk:  # from here on it stays, averaged, and the branch is its copy
            self.averages.into(self.net)
            self.net.copy_trunk()
            self.averages.restart(self.net)
        self.net.train_only("net" if step < self.trunk else "branch")
        return self.net.net if step < self.trunk else self.net

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

    def _teacher(self, step: int) -> Denoiser | Steered:
        """The averaged model, which no longer changes; the student begins as its equal."""
        mean: Denoiser | Steered = self.nets["mean"]  # type: ignore[assignment]
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
        return self.scale.data(image_BCHW.to(run.device)), at_size(condition, self.scale), done_BA

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
