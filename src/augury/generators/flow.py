"""flow: images from noise along straight paths (Lipman 2023, Liu 2023), or by denoising diffusion (Ho 2020).

One network (nets/denoiser.py) learns a velocity or a noise (flow_objective.py); its averaged weights draw by the
samplers of flow_sampling.py; a student that learns from it in the last steps of the fit draws in 1 to 4 evaluations
(flow_student.py). Data are shifted and scaled to mean 0 and variance 1 first, so that noise levels mean the same for
every kind of image.

B batch, N images, C channels, H height, W width, D uniform draws.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs
from augury.errors import UserError
from augury.generators import flow_objective as objective
from augury.generators import flow_sampling as samplers
from augury.generators import flow_student as student
from augury.generators.chunks import chunks
from augury.generators.flow_networks import build
from augury.generators.flow_settings import FlowConfig, Sampling, expect_sampler
from augury.generators.flow_space import Space, at_size
from augury.generators.flow_start import Told, inherit
from augury.generators.flow_told import expect_pairs, hearing, narrowed, refuse_unknown
from augury.generators.flow_training import Course
from augury.generators.generator import Generator, Shape
from augury.nets.control import Steered
from augury.nets.denoiser import Denoiser
from augury.nets.power_average import History, pour
from augury.training import Run

LEVELS = (0.15, 0.35, 0.55, 0.75)  # times at which membership is asked, as shares of ddpm's steps too
WATCHED = 8  # sampling steps of a look during the training


class Flow(Generator):
    """Rectified flow or ddpm over labels, prompts and maps. `sampling` says how it draws and may be replaced."""

    method: ClassVar[str] = "flow"
    revision: ClassVar[int] = 1

    def __init__(self, config: FlowConfig, shape: Shape) -> None:
        self.config, self.shape, self.sampling = config, shape, config.sampling
        self.nets = build(config, shape).eval()
        self._start: tuple[Told, Sequence[str]] | None = None  # None: from nothing

    def start_from(self, parent: Flow, *, parent_classes: Sequence[str], classes: Sequence[str]) -> Self:
        """Let `fit` begin with the weights of a fitted model; the classes' names, in their order, are matched.

        Raises:
            UserError: the two are not of one network.
        """
        theirs = Told(config=parent.config, nets=parent.nets, shape=parent.shape, classes=parent_classes)
        inherit(self._told(classes), theirs)
        self._start = (theirs, classes)
        return self

    def fit(self, train: Pairs, run: Run) -> Self:
        """Fit to the pairs in the steps of `run`; a finished run returns its result at once."""
        expect_pairs(train, self.config, self.shape)
        with run.seeded("networks"):
            self.nets = build(self.config, self.shape).to(run.device)
        if self._start is not None:
            theirs, classes = self._start
            inherit(self._told(classes), theirs)
        inherited = self._start is not None
        course = Course(self.config, self.nets, train=train, shape=self.shape, run=run, inherited=inherited)
        run.offer(lambda condition, seed: self._as_it_stands(course).sample(condition, seed=seed))
        for step in run.loop(**course.parts()):
            course.take(step)
        course.finish()
        self.nets.eval()
        return self

    def _as_it_stands(self, course: Course) -> Self:
        """A copy that can draw while this one is still in training, by few steps of the teacher."""
        now = copy.copy(self)
        now.nets = nn.ModuleDict({"mean": copy.deepcopy(self.nets["mean"]), "scale": self.nets["scale"]}).eval()
        course.averages.into(now.nets["mean"])
        now.sampling = Sampling(steps=WATCHED)
        return now

    @torch.no_grad()
    def sample(self, condition: Condition, *, seed: int) -> Tensor:
        """One image_CHW in [-1, 1] per condition, as `sampling` says; dropped conditions are drawn without them.

        Raises:
            UserError: a condition that it was not fitted with, one that is missing, or a sampler that it has not.
        """
        refuse_unknown(condition, self.config)
        condition = narrowed(condition, self.config, self.shape)
        sampler, steps = expect_sampler(self.sampling, self.config)
        random = torch.Generator().manual_seed(seed)
        self.nets.eval()
        drawn = [torch.zeros(0, self.shape.channels, self.shape.height, self.shape.width)]
        for part in chunks(len(condition)) if len(condition) else ():
            here = at_size(condition[part].to(self.device()), self.scale)
            noise_BCHW = torch.randn((len(here), *self._size()), generator=random).to(self.device())
            data_BCHW = self._draw(noise_BCHW, here, sampler=sampler, steps=steps, random=random)
            drawn.append(self.scale.image(data_BCHW).float().cpu())
        return torch.cat(drawn)

    def _draw(
        self, noise_BCHW: Tensor, condition: Condition, *, sampler: str, steps: int, random: torch.Generator
    ) -> Tensor:
        if sampler == "student":
            return student.jump(hearing(self._net("student"), condition), noise_BCHW, student.knots(steps))
        field = self._field(condition)
        if sampler == "heun":
            return samplers.heun(field, noise_BCHW, samplers.times(steps))
        if sampler == "euler":
            return samplers.euler(field, noise_BCHW, samplers.times(steps))
        return samplers.denoise(
            field, noise_BCHW, kept_N=objective.signal(self.config.schedule), steps=steps,
            eta=float(sampler == "ancestral"), bound=self.scale.bound(), random=random,
        )  # fmt: skip

    def _field(self, condition: Condition) -> samplers.Field:
        """What the model says of x, guided as `sampling` asks."""
        sampling = self.sampling
        dropped = replace(condition, keep_B=torch.zeros_like(condition.keep_B))  # type: ignore[arg-type]
        if sampling.guidance == 1:
            return self._said(self._net("mean"), condition)
        if sampling.guide == "early":
            return samplers.guided(
                self._said(self._net("mean"), condition),
                self._said(self._early(sampling.early), condition),
                sampling.guidance,
            )
        other = self._said(self._net("mean"), dropped)
        if sampling.guidance == 0:
            return other
        return samplers.guided(self._said(self._net("mean"), condition), other, sampling.guidance)

    def _said(self, net: Denoiser | Steered, condition: Condition) -> samplers.Field:
        told = hearing(net, condition)
        if self.config.objective == "ddpm":
            return told
        return lambda x_BCHW, time_B: objective.velocity(told, x_BCHW, time_B)

    def _early(self, share: float) -> Denoiser | Steered:
        """The network as it was averaged after a share of its training."""
        history: History = self.nets["history"]  # type: ignore[assignment]
        if not len(history):
            raise UserError("guide=early got for a model that kept no earlier state; expected snapshots from 2; fit it "
                            "anew, or take guide=condition")  # fmt: skip
        updates_S = history.updates_SA[: len(history), 0]
        place = int((updates_S - share * updates_S[-1]).abs().argmin())
        early = copy.deepcopy(self._net("mean"))
        pour(history.copy_SAP[place, 0], early)
        return early

    @torch.no_grad()
    def averaged(self, length: float) -> Self:
        """A copy that draws with an average of another length, a share of the training (0.01 to 0.25).

        Raises:
            UserError: the model kept no snapshots, or no average has such a length.
        """
        history: History = self.nets["history"]  # type: ignore[assignment]
        try:
            weight_P = history.at(length)
        except ValueError as error:
            raise UserError(str(error)) from error
        other = copy.copy(self)
        other.nets = nn.ModuleDict({**self.nets, "mean": copy.deepcopy(self.nets["mean"])})
        pour(weight_P, other._net("mean"))
        return other

    @torch.no_grad()
    def membership(self, image_BCHW: Tensor, condition: Condition, *, seed: int) -> Tensor:
        """Minus the denoising error, a mean over a few noise levels."""
        condition = narrowed(condition, self.config, self.shape)
        random = torch.Generator().manual_seed(seed)
        self.nets.eval()
        scores = [torch.zeros(0)]
        for part in chunks(len(condition)) if len(condition) else ():
            data_BCHW = self.scale.data(image_BCHW[part].to(self.device()))
            told = hearing(self._net("mean"), at_size(condition[part].to(self.device()), self.scale))
            error_LB = []
            for level in LEVELS:
                noise_BCHW = torch.randn(data_BCHW.shape, generator=random).to(data_BCHW)
                error_LB.append(self._error(told, data_BCHW, noise_BCHW, level=level))
            scores.append(-torch.stack(error_LB).mean(0).float().cpu())
        return torch.cat(scores)

    def _error(self, told: objective.Net, data_BCHW: Tensor, noise_BCHW: Tensor, *, level: float) -> Tensor:
        time_B = samplers.filled(data_BCHW, level)
        if self.config.objective == "flow":
            return objective.flow_error(told, data_BCHW, noise_BCHW, time_B)
        step_B = (time_B * objective.NOISES).long()
        kept_N = objective.signal(self.config.schedule)
        return objective.ddpm_error(told, data_BCHW, noise_BCHW, step_B=step_B, kept_N=kept_N)

    @property
    def scale(self) -> Space:
        """From images to data of unit variance and back."""
        return self.nets["scale"]  # type: ignore[return-value]

    def _told(self, classes: Sequence[str]) -> Told:
        return Told(config=self.config, nets=self.nets, shape=self.shape, classes=classes)

    def _size(self) -> tuple[int, int, int]:
        """Channels and sides of the data."""
        return self.scale.channels, self.shape.height // self.scale.factor, self.shape.width // self.scale.factor

    def _net(self, name: str) -> Denoiser | Steered:
        return self.nets[name]  # type: ignore[return-value]
