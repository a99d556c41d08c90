"""Batched augmentation with parameters of its own for every image.

All geometry (turn, shift, scale, crop, flips, elastic field) is one sampling grid, so a pixel is interpolated once; all
intensity changes are arithmetic on the whole batch. Images are float32 in [-1, 1].

B batch, C channels, H height, W width, K taps, P parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

from augury.errors import UserError

_COLUMNS = ("rotate", "shift_x", "shift_y", "scale", "crop", "aspect", "crop_x", "crop_y", "flip", "flip_vertical",
            "contrast", "brightness", "gamma", "noise", "blur")  # fmt: skip
_ELASTIC_CELLS = 4  # cells of the coarse displacement field on either side: broad bends, no torn tissue


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far each image may be changed; zero or False leaves a property alone. All zero is the identity.

    Left-right flips are off in every preset for supervised training: whether a side may be swapped (eyes, hearts) is
    for the user to say.
    """

    rotate: float = 0.0  # degrees, uniform in +-
    shift: float = 0.0  # fraction of the side, uniform in +-, in x and y
    scale: float = 0.0  # zoom factor log-uniform in [1 / (1 + scale), 1 + scale]
    crop: float = 0.0  # largest share of the area that a random crop may lose; the rest fills the image
    aspect: float = 0.0  # aspect ratio of the crop, log-uniform in [1 / (1 + aspect), 1 + aspect]
    flip: bool = False  # left-right, every second image
    flip_vertical: bool = False  # upside down, every second image
    elastic: float = 0.0  # standard deviation of the coarse displacements, fraction of the side
    contrast: float = 0.0  # factor about the image's mean, uniform in 1 +- contrast
    brightness: float = 0.0  # added, uniform in +-, fraction of the full range
    gamma: float = 0.0  # exponent log-uniform in [exp(-gamma), exp(gamma)]
    noise: float = 0.0  # Gaussian noise with sd uniform in [0, noise], fraction of the full range
    blur: float = 0.0  # Gaussian blur with sd uniform in [0, blur], pixels
    hue: float = 0.0  # turn of the hue uniform in +-, fraction of the circle; of colour images only

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"augmentation {field.name}={value}: expected a finite number >= 0; 0 turns it off")
        for name in ("contrast", "crop", "hue"):
            if getattr(self, name) >= 1:
                raise UserError(f"augmentation {name}={getattr(self, name)}: expected less than 1; try 0.2")

    @property
    def moves(self) -> bool:
        """Whether any image may be resampled."""
        return any((self.rotate, self.shift, self.scale, self.crop, self.aspect, self.elastic)) or self.mirrors

    @property
    def mirrors(self) -> bool:
        """Whether any image may be flipped."""
        return self.flip or self.flip_vertical


PRESETS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "light": Augmentation(rotate=5, shift=0.03, scale=0.05, contrast=0.1, brightness=0.05),
    "standard": Augmentation(rotate=15, shift=0.06, scale=0.12, contrast=0.2, brightness=0.08, gamma=0.2, noise=0.02),
    "strong": Augmentation(
        rotate=30, shift=0.1, scale=0.2, elastic=0.02, contrast=0.35, brightness=0.12, gamma=0.4, noise=0.04, blur=1.0
    ),
    "views": Augmentation(
        rotate=15, crop=0.5, aspect=0.25, flip=True, contrast=0.4, brightness=0.15, noise=0.03, blur=1.0
    ),
}


def preset(name: str) -> Augmentation:
    """The augmentation of this name; UserError that lists the names otherwise.

    >>> preset("none").moves
    False
    """
    if name not in PRESETS:
        raise UserError(f"augmentation {name!r}: expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def augment(image_BCHW: Tensor, config: Augmentation, *, generator: torch.Generator) -> Tensor:
    """Every image changed by its own random parameters; same shape, device and range.

    All randomness comes from `generator` (on whatever device it lives), and each parameter has its own column of one
    table, so that switching one change off leaves the others as they were.
    """
    if config == PRESETS["none"]:
        return image_BCHW
    parameters = _draw(len(image_BCHW), image_BCHW, generator=generator)
    if config.moves:
        grid_BHW2 = _grid(image_BCHW, config, parameters=parameters, generator=generator)
        image_BCHW = warp(image_BCHW, grid_BHW2)
    return _recolour(image_BCHW, config, parameters=parameters, generator=generator).clamp(-1.0, 1.0)


def two_views(image_BCHW: Tensor, config: Augmentation, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two independent augmentations of every image, for contrastive learning."""
    return augment(image_BCHW, config, generator=generator), augment(image_BCHW, config, generator=generator)


def sampling_grid(image_BCHW: Tensor, config: Augmentation, *, generator: torch.Generator) -> Tensor:
    """grid_BHW2 of the geometric part alone, for `warp`: image and mask of a segmentation must move together."""
    return _grid(
        image_BCHW, config, parameters=_draw(len(image_BCHW), image_BCHW, generator=generator), generator=generator
    )


def warp(image_BCHW: Tensor, grid_BHW2: Tensor) -> Tensor:
    """The image read at the grid's places; what lies outside repeats the border."""
    return F.grid_sample(image_BCHW, grid_BHW2, mode="bilinear", padding_mode="border", align_corners=False)


def _draw(count: int, image_BCHW: Tensor, *, generator: torch.Generator) -> dict[str, Tensor]:
    """Uniform numbers in [-1, 1), one column per parameter."""
    table_BP = torch.rand(count, len(_COLUMNS), generator=generator, device=generator.device).mul_(2).sub_(1)
    return dict(zip(_COLUMNS, table_BP.to(image_BCHW.device).unbind(1), strict=True))


def _grid(
    image_BCHW: Tensor, config: Augmentation, *, parameters: dict[str, Tensor], generator: torch.Generator
) -> Tensor:
    grid_BHW2 = places(_affine(image_BCHW, config, parameters=parameters), image_BCHW)
    if config.elastic > 0:
        grid_BHW2 = grid_BHW2 + _elastic(image_BCHW, config.elastic, generator=generator)
    return grid_BHW2


def places(theta_B23: Tensor, image_BCHW: Tensor) -> Tensor:
    """affine_grid (align_corners=False) as a sum of rows and columns: a third of the time of its matrix product."""
    height, width = image_BCHW.shape[-2:]
    x_W1 = _centres(width, theta_B23).unsqueeze(1)
    y_H11 = _centres(height, theta_B23).view(-1, 1, 1)
    theta_B1123 = theta_B23[:, None, None]
    row_B1W2 = x_W1 * theta_B1123[..., 0]
    column_BH12 = y_H11 * theta_B1123[..., 1] + theta_B1123[..., 2]
    return row_B1W2 + column_BH12


def _centres(count: int, like: Tensor) -> Tensor:
    """Pixel centres of one axis in [-1, 1]."""
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) * (2 / count) - 1


def _affine(image_BCHW: Tensor, config: Augmentation, *, parameters: dict[str, Tensor]) -> Tensor:
    """theta_B23 from output to input coordinates; the sides ratio keeps turns rigid in images that are not square."""
    height, width = image_BCHW.shape[-2:]
    angle_B = parameters["rotate"] * math.radians(config.rotate)
    window_x_B, window_y_B = _window(config, parameters)
    zoom_B = torch.exp(parameters["scale"] * -math.log1p(config.scale))
    across_B, down_B = window_x_B * zoom_B, window_y_B * zoom_B
    if config.flip:
        across_B = across_B * _signs(parameters["flip"])
    if config.flip_vertical:
        down_B = down_B * _signs(parameters["flip_vertical"])
    cosine_B, sine_B = torch.cos(angle_B), torch.sin(angle_B)
    shift_x_B = 2 * config.shift * parameters["shift_x"] + parameters["crop_x"] * (1 - window_x_B).clamp(min=0)
    shift_y_B = 2 * config.shift * parameters["shift_y"] + parameters["crop_y"] * (1 - window_y_B).clamp(min=0)
    top_B3 = torch.stack([cosine_B * across_B, -sine_B * down_B * (height / width), shift_x_B], dim=1)
    bottom_B3 = torch.stack([sine_B * across_B * (width / height), cosine_B * down_B, shift_y_B], dim=1)
    return torch.stack([top_B3, bottom_B3], dim=1)


def _window(config: Augmentation, parameters: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Width and height of the crop window as shares of the image's (Szegedy et al. 2015, section 6)."""
    area_B = 1 - config.crop * (parameters["crop"] + 1) / 2
    stretch_B = torch.exp(parameters["aspect"] * math.log1p(config.aspect) / 2)
    side_B = area_B.sqrt()
    return (side_B * stretch_B).clamp(max=1.0), (side_B / stretch_B).clamp(max=1.0)


def _signs(uniform_B: Tensor) -> Tensor:
    return torch.where(uniform_B < 0, -1.0, 1.0)


def _elastic(image_BCHW: Tensor, strength: float, *, generator: torch.Generator) -> Tensor:
    """A coarse random displacement field, made smooth by bicubic interpolation (Simard et al. 2003, section 2)."""
    shape = (len(image_BCHW), 2, _ELASTIC_CELLS, _ELASTIC_CELLS)
    coarse_B2 = torch.randn(shape, generator=generator, device=generator.device).to(image_BCHW.device)
    size = (image_BCHW.shape[-2], image_BCHW.shape[-1])
    field_B2HW = F.interpolate(coarse_B2 * (2 * strength), size=size, mode="bicubic", align_corners=False)
    return field_B2HW.permute(0, 2, 3, 1)


def _recolour(
    image_BCHW: Tensor, config: Augmentation, *, parameters: dict[str, Tensor], generator: torch.Generator
) -> Tensor:
    """Blur, gamma, contrast, brightness, noise, in the order in which an acquisition meets them."""
    if config.blur > 0:
        image_BCHW = blur(image_BCHW, (parameters["blur"] + 1) * (config.blur / 2), largest=config.blur)
    if config.gamma > 0:
        power_B111 = torch.exp(parameters["gamma"] * config.gamma).view(-1, 1, 1, 1)
        image_BCHW = (image_BCHW + 1).mul_(0.5).clamp_(0, 1).pow_(power_B111).mul_(2).sub_(1)
    if config.contrast > 0 or config.brightness > 0:
        factor_B111 = (1 + parameters["contrast"] * config.contrast).view(-1, 1, 1, 1)
        mean_B111 = image_BCHW.mean(dim=(1, 2, 3), keepdim=True)
        offset_B111 = mean_B111 * (1 - factor_B111) + (parameters["brightness"] * 2 * config.brightness).view(
            -1, 1, 1, 1
        )
        image_BCHW = torch.addcmul(offset_B111, image_BCHW, factor_B111)
    if config.noise > 0:
        noise_BCHW = torch.randn(image_BCHW.shape, generator=generator, device=generator.device).to(image_BCHW.device)
        image_BCHW = torch.addcmul(image_BCHW, noise_BCHW, ((parameters["noise"] + 1) * config.noise).view(-1, 1, 1, 1))
    if config.hue > 0 and image_BCHW.shape[1] == 3:  # drawn last: without it every other number stays what it was
        turn_B = torch.rand(len(image_BCHW), generator=generator, device=generator.device) * 2 - 1
        image_BCHW = _turn_hue(image_BCHW, turn_B.to(image_BCHW.device) * config.hue)
    return image_BCHW


def _turn_hue(image_BCHW: Tensor, turn_B: Tensor) -> Tensor:
    """Colours turned about the grey axis by `turn` of a circle (Rodrigues' formula); grey and the mean stay."""
    angle_B11 = (turn_B * (2 * math.pi)).view(-1, 1, 1)
    grey_33 = torch.full((3, 3), 1 / 3, device=image_BCHW.device, dtype=image_BCHW.dtype)
    cross_33 = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]).to(grey_33) / math.sqrt(3)
    rest_33 = torch.eye(3).to(grey_33) - grey_33
    turn_B33 = grey_33 + torch.cos(angle_B11) * rest_33 + torch.sin(angle_B11) * cross_33
    return torch.einsum("bij,bjhw->bihw", turn_B33, image_BCHW)


def blur(image_BCHW: Tensor, sigma_B: Tensor, *, largest: float) -> Tensor:
    """Separable Gaussian blur with a width per image: a weighted sum of shifted copies, borders repeated."""
    radius = max(1, math.ceil(2.5 * largest))
    offset_K = torch.arange(-radius, radius + 1, device=image_BCHW.device, dtype=image_BCHW.dtype)
    weight_BK = torch.exp(-0.5 * (offset_K / sigma_B.clamp(min=1e-3).unsqueeze(1)).square())
    weight_BK = weight_BK / weight_BK.sum(dim=1, keepdim=True)
    for dim, padding in ((-1, (radius, radius, 0, 0)), (-2, (0, 0, radius, radius))):
        length = image_BCHW.shape[dim]
        padded = F.pad(image_BCHW, padding, mode="replicate")
        total = padded.narrow(dim, 0, length) * weight_BK[:, 0].view(-1, 1, 1, 1)
        for k in range(1, 2 * radius + 1):
            total.addcmul_(padded.narrow(dim, k, length), weight_BK[:, k].view(-1, 1, 1, 1))
        image_BCHW = total
    return image_BCHW
