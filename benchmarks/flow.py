"""`flow` beside denoising-diffusion-pytorch and MONAI's diffusion U-Net: speed of a step, KID after the same time.

    python benchmarks/flow.py [--seconds 40] [--images 256] [--methods flow lucidrains monai]

One process, one thread, one after the other, on the same grey 32 px images (brain_tumor_mri, or phantom:brain without
it), batches of 64, without conditions; parameters within a tenth of each other. The time is the processor's, so that a
loaded machine slows nobody; making the network and the first two steps do not count. Each samples with about 32
evaluations of its network: Heun's method in 16 steps, DDIM in 32. KID is of EfficientNet-Lite0's features (given
weights) against held-out images of other groups; "excess" is what is more than the training images' own. The two
others are trained as their own examples do: noise or v prediction, Adam, an average of their weights.
Last, how many images of 64 px the student draws a second.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from augury.conditions.condition import Condition
from augury.conditions.pairs import Pairs, to_uint8
from augury.conditions.shape import Shape
from augury.data.importers import load
from augury.data.phantoms import PHANTOMS, batches
from augury.data.splits import grouped_folds
from augury.data.store import Preparation, prepare
from augury.generators.flow import Flow
from augury.generators.flow_settings import FlowConfig, Sampling
from augury.metrics.fidelity import squared_mmd
from augury.studies.audit.encoders import of_weights
from augury.training import Run

SHARED = Path(__file__).resolve().parents[2] / "shared"
SIDE, BATCH, EVALUATIONS, WARM = 32, 64, 32, 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one method did in its time."""

    method: str
    parameters: int
    steps: int
    seconds: float
    sampling: float  # seconds for all drawn images
    drawn_NCHW: NDArray[np.uint8]


def images() -> tuple[Pairs, Pairs]:
    """Training images and those of other groups."""
    if (SHARED / "data" / "brain_tumor_mri").is_dir():
        manifest = load(SHARED / "data" / "brain_tumor_mri", no_patients=True)
        pixels_NCHW = np.array(prepare(manifest, Preparation(size=(SIDE, SIDE), channels=1)).pixels_NCHW)
        fold_N = grouped_folds(manifest.label_N, manifest.group_N, count=4, seed=0)
        return _pairs(pixels_NCHW[fold_N != 0]), _pairs(pixels_NCHW[fold_N == 0])
    made = [
        np.concatenate([batch.image_NHWC for batch in batches(PHANTOMS["brain"](size=SIDE), n=n, seed=seed)])
        for n, seed in ((2400, 0), (800, 1))
    ]
    first, second = (_pairs(np.ascontiguousarray(image_NHWC.transpose(0, 3, 1, 2))) for image_NHWC in made)
    return first, second


def _pairs(pixels_NCHW: NDArray[np.uint8]) -> Pairs:
    nothing = Condition(label_B=torch.zeros(len(pixels_NCHW), dtype=torch.int64))
    return Pairs(pixels_NCHW=pixels_NCHW, condition=nothing, classes=1)


def ours(train: Pairs, *, seconds: float, count: int) -> Row:
    """Its own defaults but for the label; no student, whose share of the time the others have nothing for."""
    config = FlowConfig(conditions=(), student_share=0.0)
    shape = Shape(channels=1, height=SIDE, width=SIDE, classes=1)
    marks: list[float] = []

    def fit(steps: int) -> Flow:
        marks.clear()
        run = Run(seed=0, steps=steps, batch=BATCH, report=lambda _step, _steps: marks.append(time.process_time()))
        return Flow(config, shape).fit(train, run)

    fit(WARM + 10)
    pace = (marks[-1] - marks[WARM - 1]) / 10
    model = fit(WARM + max(1, round(seconds / pace)))
    spent = marks[-1] - marks[WARM - 1]
    start = time.process_time()
    model.sampling = Sampling(sampler="heun", steps=EVALUATIONS // 2)
    drawn = to_uint8(model.sample(train.condition[:count], seed=1))
    return Row(
        method="flow", parameters=_size(model.nets["mean"]), steps=len(marks) - WARM, seconds=spent,
        sampling=time.process_time() - start, drawn_NCHW=drawn,
    )  # fmt: skip


def lucidrains(train: Pairs, *, seconds: float, count: int) -> Row:
    """denoising-diffusion-pytorch: its U-Net, v prediction under a sigmoid schedule, DDIM."""
    from denoising_diffusion_pytorch import GaussianDiffusion, Unet

    torch.manual_seed(0)
    net = Unet(dim=24, dim_mults=(1, 2, 4), channels=1)
    diffusion = GaussianDiffusion(net, image_size=SIDE, sampling_timesteps=EVALUATIONS)

    def loss(image_BCHW: Tensor) -> Tensor:
        error: Tensor = diffusion((image_BCHW + 1) / 2)
        return error

    average, steps, spent = trained(net, loss, train, seconds=seconds)
    net.load_state_dict(average.state_dict())
    start = time.process_time()
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        parts = [diffusion.eval().sample(batch_size=min(64, count - done)) for done in range(0, count, 64)]
    return Row(
        method="denoising-diffusion-pytorch", parameters=_size(net), steps=steps, seconds=spent,
        sampling=time.process_time() - start, drawn_NCHW=to_uint8(torch.cat(parts) * 2 - 1),
    )  # fmt: skip


def monai(train: Pairs, *, seconds: float, count: int) -> Row:
    """MONAI's DiffusionModelUNet: noise prediction under its default schedule, DDIM."""
    from monai.networks.nets import DiffusionModelUNet
    from monai.networks.schedulers import DDIMScheduler, DDPMScheduler

    torch.manual_seed(0)
    net = DiffusionModelUNet(
        spatial_dims=2, in_channels=1, out_channels=1, channels=(24, 48, 96), attention_levels=(False, False, True),
        num_res_blocks=1, num_head_channels=8, norm_num_groups=8,
    )  # fmt: skip
    schedule = DDPMScheduler(num_train_timesteps=1000)

    def loss(image_BCHW: Tensor) -> Tensor:
        noise_BCHW, step_B = torch.randn_like(image_BCHW), torch.randint(1000, (len(image_BCHW),))
        noisy_BCHW = schedule.add_noise(image_BCHW, noise=noise_BCHW, timesteps=step_B)
        return (net(noisy_BCHW, timesteps=step_B) - noise_BCHW).square().mean()

    average, steps, spent = trained(net, loss, train, seconds=seconds)
    sampler = DDIMScheduler(num_train_timesteps=1000)
    sampler.set_timesteps(EVALUATIONS)
    start = time.process_time()
    parts = [_monai_drawn(average, sampler, count=min(64, count - done)) for done in range(0, count, 64)]
    return Row(
        method="MONAI", parameters=_size(net), steps=steps, seconds=spent, sampling=time.process_time() - start,
        drawn_NCHW=to_uint8(torch.cat(parts)),
    )  # fmt: skip


@torch.no_grad()
def _monai_drawn(net: nn.Module, sampler: object, *, count: int) -> Tensor:
    image_BCHW = torch.randn(count, 1, SIDE, SIDE)
    for step in sampler.timesteps:  # type: ignore[attr-defined]
        said_BCHW = net(image_BCHW, timesteps=torch.full((count,), int(step)))
        image_BCHW = sampler.step(said_BCHW, int(step), image_BCHW)[0]  # type: ignore[attr-defined]
    return image_BCHW


def trained(
    net: nn.Module, loss: Callable[[Tensor], Tensor], train: Pairs, *, seconds: float
) -> tuple[nn.Module, int, float]:
    """The averaged net after so many seconds of plain Adam, the steps and the seconds that they took."""
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-4, betas=(0.9, 0.99))
    average, random = copy.deepcopy(net).eval(), torch.Generator().manual_seed(0)
    steps, start = -WARM, time.process_time()
    while steps < 1 or time.process_time() - start < seconds:
        image_BCHW, _ = train[torch.randint(len(train), (BATCH,), generator=random)]
        optimizer.zero_grad(set_to_none=True)
        loss(image_BCHW).backward()
        optimizer.step()
        steps += 1
        decay = min(0.995, (1 + max(0, steps)) / (10 + max(0, steps)))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - decay)
        if steps == 0:
            start = time.process_time()
    return average, steps, time.process_time() - start


def _size(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


METHODS = {"flow": ours, "lucidrains": lucidrains, "monai": monai}


def student_pace(side: int = 64, *, count: int = 128) -> float:
    """Images a second that a student draws; its weights do not matter for that."""
    model = Flow(
        FlowConfig(sampling=Sampling(sampler="student")), Shape(channels=1, height=side, width=side, classes=2)
    )
    labels = Condition(label_B=torch.zeros(count, dtype=torch.int64))
    model.sample(labels[:16], seed=0)
    start = time.process_time()
    model.sample(labels, seed=0)
    return count / (time.process_time() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0, help="processor seconds of each training")
    parser.add_argument("--images", type=int, default=256, help="that each draws")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    train, held = images()
    encoder = of_weights(SHARED / "weights" / "tf_efficientnet_lite0.safetensors", channels=1).compute
    held_ND = encoder(held.pixels_NCHW)
    floor = squared_mmd(encoder(train.pixels_NCHW[: len(held)]), held_ND)
    print(f"{len(train)} training images, {len(held)} held out, KID of the former {floor:.4f}")
    print("| method | parameters | steps | ms a step | images a second | KID | excess |\n|---|---|---|---|---|---|---|")
    for name in options.methods:
        row = METHODS[name](train, seconds=options.seconds, count=options.images)
        kid = squared_mmd(encoder(row.drawn_NCHW), held_ND)
        print(
            f"| {row.method} | {row.parameters:,} | {row.steps} | {1e3 * row.seconds / row.steps:.0f} | "
            f"{options.images / row.sampling:.0f} | {kid:.4f} | {kid - floor:.4f} |",
            flush=True,
        )
    print(f"the student draws {student_pace():.0f} images of 64 px a second")


if __name__ == "__main__":
    main()
