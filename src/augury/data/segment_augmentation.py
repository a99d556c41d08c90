"""Augmentation of images together with their masks: the named recipes that segmentation is compared under.

B batch, C channels, H height, W width, P dials, D axes (x, y). Images are float32 in [-1, 1], masks 0 or 1. All
geometry is one sampling grid for both: the image is read bilinearly, the mask too and cut at 0.5; outside, the border
repeats in both. Numbers of pixels are meant at a longer side of 384, the published protocol's, and shrink or grow with
the image. Left and right are swapped by "nnunet" alone, because its authors do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from augury.data.augmentation import blur, places, warp
from augury.errors import UserError

SIDE = 384  # pixels of the longer side, at which numbers of pixels are meant
_CELLS = 128  # of the longer side, on which displacements are drawn: a cell is 3 pixels of 384


@dataclass(frozen=True, kw_only=True)
class Dial:
    """For each image, with probability `p`, a number between `low` and `high`; else no change.

    Numbers are uniform, but factors (scale, contrast, gamma) fall below 1 as often as above, as in batchgenerators.
    """

    low: float
    high: float
    p: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What may be changed, in this order; None leaves a property alone."""

    cutmix: Dial | None = None  # share of the area pasted over from another image of the class, and its mask
    rotate: Dial | None = None  # degrees
    scale: Dial | None = None  # of the view: 1.25 shows a quarter more on each side
    shift: Dial | None = None  # share of the side, in x and in y
    bend: Dial | None = None  # alpha of the elastic displacements in pixels; their sigma is 9 to 13 pixels
    mirror_x: Dial | None = None  # left-right; no number but a probability
    mirror_y: Dial | None = None  # upside down
    sharpen: Dial | None = None  # share of what a blur of 1.5 pixels takes away that is added
    blur: Dial | None = None  # sd in pixels
    noise: Dial | None = None  # variance of Gaussian noise, images being in [-1, 1]
    brightness: Dial | None = None  # added, images being in [-1, 1]
    contrast: Dial | None = None  # factor about the image's mean
    gain: Dial | None = None  # factor about 0
    offset: Dial | None = None  # added after it
    gamma: Dial | None = None  # exponent on the image's own range; its mean and sd stay

    @property
    def moves(self) -> bool:
        """Whether any image may be resampled."""
        return any((self.rotate, self.scale, self.shift, self.bend, self.mirror_x, self.mirror_y))


SEGMENT_AUGMENTATIONS: dict[str, Recipe] = {
    "none": Recipe(),
    # Single ones: Zhang et al. 2024 (DiffBoost), as its code has them.
    "contrast": Recipe(contrast=Dial(low=0.75, high=1.25)),
    "noise": Recipe(noise=Dial(low=0.0, high=0.05)),
    "rotate": Recipe(rotate=Dial(low=-5, high=5)),
    "scale": Recipe(scale=Dial(low=0.95, high=1.05)),
    # Yun et al. 2019, equations 1-2: the share of the area is uniform; within a class, with its mask.
    "cutmix": Recipe(cutmix=Dial(low=0.0, high=1.0, p=0.5)),
    # The nine of BigAug (Zhang et al. 2020), each with probability 0.5; the strengths are ours.
    "deepstack": Recipe(
        sharpen=Dial(low=0.0, high=1.0, p=0.5), blur=Dial(low=0.25, high=1.5, p=0.5),
        noise=Dial(low=0.0, high=0.02, p=0.5), brightness=Dial(low=-0.2, high=0.2, p=0.5),
        contrast=Dial(low=0.75, high=1.25, p=0.5), gain=Dial(low=0.9, high=1.1, p=0.5),
        offset=Dial(low=-0.1, high=0.1, p=0.5), rotate=Dial(low=-20, high=20, p=0.5),
        scale=Dial(low=0.8, high=1.25, p=0.5), bend=Dial(low=0.0, high=200.0, p=0.5),
    ),
    # nnU-Net's default in two dimensions (Isensee et al. 2021), as DiffBoost's code restates it.
    "nnunet": Recipe(
        bend=Dial(low=0.0, high=200.0, p=0.2), scale=Dial(low=0.85, high=1.25, p=0.2),
        rotate=Dial(low=-180, high=180, p=0.2), gamma=Dial(low=0.7, high=1.5, p=0.3),
        mirror_x=Dial(low=0, high=0, p=0.5), mirror_y=Dial(low=0, high=0, p=0.5),
    ),
    # Ours, the reference: no turn that a modality forbids (data/preparation/modalities.py).
    "standard": Recipe(
        rotate=Dial(low=-10, high=10), scale=Dial(low=0.8, high=1.25), shift=Dial(low=-0.08, high=0.08),
        contrast=Dial(low=0.75, high=1.25), brightness=Dial(low=-0.15, high=0.15),
    ),
}  # fmt: skip
_FACTORS = ("scale", "contrast", "gain", "gamma")
_DIALS = tuple(field.name for field in fields(Recipe))
_MORE = ("shift_y", "cut_x", "cut_y", "partner", "sigma")  # second numbers of one dial
Numbers = dict[str, Tensor]


def recipe(name: str) -> Recipe:
    """The recipe of this name; UserError that lists the names otherwise.

    >>> recipe("none").moves
    False
    """
    if name not in SEGMENT_AUGMENTATIONS:
        raise UserError(f"augmentation {name!r}: expected one of {', '.join(SEGMENT_AUGMENTATIONS)}; correct the name")
    return SEGMENT_AUGMENTATIONS[name]


def augment_pair(
    image_BCHW: Tensor, mask_BHW: Tensor, name: str, *, generator: torch.Generator, label_B: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Image and mask (0 or 1), changed together, each pair by its own random parameters; same shapes and device.

    All randomness comes from `generator` and none of it looks at the pixels, so that two images of one mask are moved
    alike by two generators of one state. `label_B` says which images "cutmix" may mix; None: all. UserError for an
    unknown name.
    """
    asked = recipe(name)
    if asked == SEGMENT_AUGMENTATIONS["none"]:
        return image_BCHW, mask_BHW
    numbers = _draw(len(image_BCHW), image_BCHW, generator=generator)
    both_BDHW = torch.cat([image_BCHW, mask_BHW[:, None].to(image_BCHW.dtype)], dim=1)
    if asked.cutmix is not None:
        both_BDHW = _cutmix(both_BDHW, asked.cutmix, numbers=numbers, label_B=label_B)
    if asked.moves:
        both_BDHW = warp(both_BDHW, _grid(both_BDHW, asked, numbers=numbers, generator=generator))
    mask_BHW = (both_BDHW[:, -1] >= 0.5).to(mask_BHW.dtype)
    return _recolour(both_BDHW[:, :-1], asked, numbers=numbers, generator=generator).clamp(-1.0, 1.0), mask_BHW


def _draw(count: int, like: Tensor, *, generator: torch.Generator) -> Numbers:
    """Uniform numbers in [0, 1): for each dial a number and a chance, whatever the recipe."""
    names = (*_DIALS, *_MORE, *(f"p_{name}" for name in _DIALS))
    table_BP = torch.rand(count, len(names), generator=generator, device=generator.device)
    return dict(zip(names, table_BP.to(like.device, like.dtype).unbind(1), strict=True))


def _value(asked: Recipe, name: str, numbers: Numbers, *, otherwise: float, of: str | None = None) -> Tensor:
    """value_B of a dial; `otherwise` where it is off or chance left it out. `of` names a second number of it."""
    dial: Dial | None = getattr(asked, name)
    uniform_B = numbers[of or name]
    if dial is None:
        return torch.full_like(uniform_B, otherwise)
    value_B = dial.low + (dial.high - dial.low) * uniform_B
    if name in _FACTORS:
        below_B, above_B = dial.low + (1 - dial.low) * 2 * uniform_B, 1 + (dial.high - 1) * (2 * uniform_B - 1)
        value_B = torch.where(uniform_B < 0.5, below_B, above_B)
    return torch.where(numbers[f"p_{name}"] < dial.p, value_B, torch.full_like(value_B, otherwise))


def _cutmix(both_BDHW: Tensor, dial: Dial, *, numbers: Numbers, label_B: Tensor | None) -> Tensor:
    """A rectangle of another pair of the same class over each pair that chance chose."""
    area_B = dial.low + (dial.high - dial.low) * numbers["cutmix"]
    side_B11 = torch.where(numbers["p_cutmix"] < dial.p, area_B.sqrt(), 0.0).view(-1, 1, 1)
    height, width = both_BDHW.shape[-2:]
    y_H1 = (torch.arange(height, device=both_BDHW.device) + 0.5).view(-1, 1) / height
    x_W = (torch.arange(width, device=both_BDHW.device) + 0.5) / width
    inside_BHW = ((y_H1 - numbers["cut_y"].view(-1, 1, 1)).abs() < side_B11 / 2) & (
        (x_W - numbers["cut_x"].view(-1, 1, 1)).abs() < side_B11 / 2
    )
    return torch.where(inside_BHW[:, None], both_BDHW[_partners(numbers["partner"], label_B)], both_BDHW)


def _partners(uniform_B: Tensor, label_B: Tensor | None) -> Tensor:
    """For each item another place of its class (or its own), every place once."""
    label_B = torch.zeros_like(uniform_B) if label_B is None else label_B.to(uniform_B)
    partner_B = torch.empty(len(label_B), dtype=torch.int64, device=uniform_B.device)
    partner_B[torch.argsort(label_B, stable=True)] = torch.argsort(label_B.double() + uniform_B.double())
    return partner_B


def _grid(both_BDHW: Tensor, asked: Recipe, *, numbers: Numbers, generator: torch.Generator) -> Tensor:
    """grid_BHW2: where each pixel of the result is read."""
    height, width = both_BDHW.shape[-2:]
    angle_B = torch.deg2rad(_value(asked, "rotate", numbers, otherwise=0.0))
    view_B = _value(asked, "scale", numbers, otherwise=1.0)
    across_B, down_B = (view_B * _sign(asked, name, numbers) for name in ("mirror_x", "mirror_y"))
    x_B, y_B = (2 * _value(asked, "shift", numbers, otherwise=0.0, of=of) for of in ("shift", "shift_y"))
    cosine_B, sine_B = torch.cos(angle_B), torch.sin(angle_B)
    top_B3 = torch.stack([cosine_B * across_B, -sine_B * down_B * (height / width), x_B], dim=1)
    bottom_B3 = torch.stack([sine_B * across_B * (width / height), cosine_B * down_B, y_B], dim=1)
    grid_BHW2 = places(torch.stack([top_B3, bottom_B3], dim=1), both_BDHW)
    return grid_BHW2 if asked.bend is None else _bent(grid_BHW2, asked, numbers=numbers, generator=generator)


def _sign(asked: Recipe, name: str, numbers: Numbers) -> Tensor:
    dial: Dial | None = getattr(asked, name)
    chance = 0.0 if dial is None else dial.p
    return torch.where(numbers[f"p_{name}"] < chance, -1.0, 1.0)


def _bent(grid_BHW2: Tensor, asked: Recipe, *, numbers: Numbers, generator: torch.Generator) -> Tensor:
    """The grid plus alpha times smoothed uniform noise (Simard et al. 2003, section 2), as in batchgenerators."""
    height, width = grid_BHW2.shape[1:3]
    longer = max(height, width)
    cells = (max(1, round(_CELLS * height / longer)), max(1, round(_CELLS * width / longer)))
    noise_B2hw = torch.rand((len(grid_BHW2), 2, *cells), generator=generator, device=generator.device) * 2 - 1
    alpha_B = _value(asked, "bend", numbers, otherwise=0.0)
    chosen_b = torch.nonzero(alpha_B > 0).flatten()
    if not len(chosen_b):
        return grid_BHW2
    cell = SIDE / _CELLS  # pixels; noise that is drawn more coarsely keeps more of its strength, by just this factor
    sigma_b = (9 + 4 * numbers["sigma"][chosen_b]) / cell
    field_b2hw = blur(noise_B2hw.to(grid_BHW2)[chosen_b], sigma_b, largest=13 / cell)
    field_b2HW = F.interpolate(field_b2hw, size=(height, width), mode="bilinear", align_corners=False)
    moved_b2HW = field_b2HW * (alpha_B[chosen_b] / cell / SIDE * longer).view(-1, 1, 1, 1)  # pixels of this image
    units_2 = grid_BHW2.new_tensor([2 / width, 2 / height])
    return grid_BHW2.index_add(0, chosen_b, moved_b2HW.permute(0, 2, 3, 1) * units_2)


def _recolour(image_BCHW: Tensor, asked: Recipe, *, numbers: Numbers, generator: torch.Generator) -> Tensor:
    """All changes of intensity; what a recipe lacks costs nothing."""

    def value(name: str, otherwise: float) -> Tensor:
        return _value(asked, name, numbers, otherwise=otherwise).view(-1, 1, 1, 1)

    pixel = max(image_BCHW.shape[-2:]) / SIDE
    if asked.sharpen is not None:
        soft_BCHW = blur(image_BCHW, image_BCHW.new_full((len(image_BCHW),), 1.5 * pixel), largest=1.5 * pixel)
        image_BCHW = image_BCHW + value("sharpen", 0.0) * (image_BCHW - soft_BCHW)
    if asked.blur is not None:
        image_BCHW = blur(image_BCHW, value("blur", 0.0).flatten() * pixel, largest=asked.blur.high * pixel)
    if asked.noise is not None:
        noise_BCHW = torch.randn(image_BCHW.shape, generator=generator, device=generator.device).to(image_BCHW)
        image_BCHW = image_BCHW + value("noise", 0.0).sqrt() * noise_BCHW
    if asked.brightness is not None:
        image_BCHW = image_BCHW + value("brightness", 0.0)
    if asked.contrast is not None:
        mean_B111 = image_BCHW.mean(dim=(1, 2, 3), keepdim=True)
        image_BCHW = mean_B111 + (image_BCHW - mean_B111) * value("contrast", 1.0)
    if asked.gain is not None or asked.offset is not None:
        image_BCHW = image_BCHW * value("gain", 1.0) + value("offset", 0.0)
    return image_BCHW if asked.gamma is None else _gamma(image_BCHW, value("gamma", 1.0))


def _gamma(image_BCHW: Tensor, power_B111: Tensor) -> Tensor:
    """The image's own range to a power, with the mean and sd that it had (batchgenerators' augment_gamma)."""
    low_B111 = image_BCHW.amin(dim=(1, 2, 3), keepdim=True)
    range_B111 = image_BCHW.amax(dim=(1, 2, 3), keepdim=True) - low_B111
    curved_BCHW = ((image_BCHW - low_B111) / (range_B111 + 1e-7)).pow(power_B111)
    mean_B111, sd_B111 = _moments(image_BCHW)
    now_B111, now_sd_B111 = _moments(curved_BCHW)
    return mean_B111 + (curved_BCHW - now_B111) * (sd_B111 / (now_sd_B111 + 1e-7))


def _moments(image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    mean_B111 = image_BCHW.mean(dim=(1, 2, 3), keepdim=True)
    return mean_B111, (image_BCHW - mean_B111).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
