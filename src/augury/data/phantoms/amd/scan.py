"""An OCT B-scan: layers of the retina about the fovea, what lifts and fills them, speckle. B images, H deep, W along.

Depths in mm from the top of the image. The layers are stacked upwards from Bruch's membrane: what lies below lifts all
that lies above. Log-compressed reflectance with two looks of speckle (Schmitt, Xiang and Yung 1999).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import label as components
from torch import Tensor
from torch.nn import functional as F

from augury.data.phantoms.amd.lesions import PARTS, PCV, Disease, Domes
from augury.data.phantoms.patients import Draws
from augury.data.phantoms.phantom import box_around
from augury.data.phantoms.shapes import cover, smooth
from augury.data.phantoms.speckle import intensity, scattered
from augury.data.sample import Box

WIDTH, DEEP = 6.2, 1.9  # mm


@dataclass(frozen=True)
class Device:
    """One OCT device. The same for every seed."""

    range: float  # dB shown
    gain: float  # dB
    axial: float  # mm, standard deviations of the point spread
    lateral: float
    looks: float  # 1: two B-scans of equal weight are averaged


DEVICES = (
    Device(range=34, gain=0, axial=0.006, lateral=0.018, looks=1.0),
    Device(range=38, gain=2, axial=0.008, lateral=0.024, looks=0.5),
    Device(range=32, gain=-2, axial=0.010, lateral=0.020, looks=0.9),
    Device(range=40, gain=3, axial=0.007, lateral=0.028, looks=0.3),
    Device(range=36, gain=0, axial=0.009, lateral=0.022, looks=0.7),
)
_DB = math.log(10) / 20
_EPITHELIUM = 0.026
_VITREOUS = -34.0
_DRAPED = 3  # the layer, counted upwards, from which on the retina bridges unevenness below


def scans(
    draws: Draws, diseases: Sequence[Disease], aim_E: Tensor, kinds: Sequence[int], noise_B4HW: Tensor, *,
    index_B11: Tensor, nasal_B11: Tensor, scans_per_eye: int, difficulty: float,
) -> tuple[Tensor, NDArray[np.uint8], list[list[Box]]]:  # fmt: skip
    """image_BHW in [0, 1], part_BHW, boxes of the connected pieces of each part."""
    size = noise_B4HW.shape[-1]
    ticks = (torch.arange(size, dtype=torch.float32) + 0.5) / size
    x = nasal_B11 * ((ticks.view(1, 1, -1) - 0.5) * WIDTH) + draws.between("along", -0.3, 0.3)
    z = ticks.view(1, -1, 1) * DEEP
    y_B = lines_of(aim_E, draws, scans_per_eye=scans_per_eye)
    raised = _raised(diseases, x, y_B.flatten().tolist(), scans_per_eye=scans_per_eye)
    echo, part_BHW = _section(draws, x, z, raised, kinds, difficulty=difficulty)
    image_BHW = _compressed(echo, noise_B4HW, draws, index_B11=index_B11, size=size)
    boxes = [
        [box for bit, part in enumerate(PARTS) for box in _pieces((one >> bit) & 1 != 0, part)] for one in part_BHW
    ]
    return image_BHW, part_BHW, boxes


def lines_of(aim_E: Tensor, draws: Draws, *, scans_per_eye: int) -> Tensor:
    """y_B11 of each B-scan: the first of an eye where it is aimed, the others beside it."""
    which_B = torch.arange(scans_per_eye).repeat(len(aim_E))
    step_B = 0.35 * ((which_B + 1) // 2) * (1 - 2 * (which_B % 2))
    return (aim_E.repeat_interleave(scans_per_eye) + step_B).view(-1, 1, 1) + draws.between("scan", -0.08, 0.08)


def _raised(diseases: Sequence[Disease], x: Tensor, y_B: Sequence[float], *, scans_per_eye: int) -> dict[str, Tensor]:
    """Heights_B1W of each part along the scans, cysts and exudates as (x, half width, half height, place)."""
    out: dict[str, list[NDArray[np.float64]]] = {
        part: [] for part in ("drusen", "ped", "fluid", "blood", "polyp", "speck")
    }
    for i, y in enumerate(y_B):
        disease, x_W = diseases[i // scans_per_eye], x[i, 0].double().numpy()
        for part, rows in out.items():
            rows.append(disease[part].profile(x_W, y).max(axis=0, initial=0.0))
    heights = {part: torch.from_numpy(np.stack(rows).astype(np.float32)).unsqueeze(1) for part, rows in out.items()}
    cuts = [[_cut(diseases[i // scans_per_eye][part], y) for i, y in enumerate(y_B)] for part in ("cyst", "exudate")]
    return heights | {"cyst": _table(cuts[0]), "exudate": _table(cuts[1])}


def _cut(domes: Domes, y: float) -> NDArray[np.float64]:
    """(x, half width, half height, place)_L4 of the ellipses in which a plane at y cuts whole ellipsoids."""
    share = np.sqrt(np.maximum(0, 1 - ((y - domes.y) / domes.radius) ** 2))
    kept = share > 0.2
    return np.stack([domes.x, domes.radius * share, domes.height * share, domes.base], axis=1)[kept]


def _table(rows: Sequence[NDArray[np.float64]]) -> Tensor:
    """table_BL4, filled up with ellipses far away."""
    most = max((len(row) for row in rows), default=0)
    table = np.tile(np.array([99.0, 0.01, 0.01, 0.5]), (len(rows), most, 1))
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return torch.from_numpy(table.astype(np.float32))


def _section(
    draws: Draws, x: Tensor, z: Tensor, raised: dict[str, Tensor], kinds: Sequence[int], *, difficulty: float
) -> tuple[Tensor, NDArray[np.uint8]]:
    """echo_BHW in dB and part_BHW."""
    size = z.shape[1]
    wave_B4W = smooth(draws.fields["layers"], size)[:, :, 0]
    stroma_B2HW = smooth(draws.fields["stroma"], size)
    detail = smooth(draws.fields["detail"], size)[:, 0]
    soft = 1.2 * DEEP / size
    course = draws.between("tilt", -0.035, 0.035) * x + draws.between("bend", 0.0, 0.016) * x.square()
    membrane = draws.between("depth", 1.0, 1.25) + course + 0.004 * wave_B4W[:, :1]
    below = torch.maximum(raised["drusen"], raised["ped"])
    below = torch.maximum(below, torch.maximum(raised["polyp"] * 1.6, raised["speck"]))
    epithelium = membrane - below - _EPITHELIUM
    lifted = epithelium - torch.maximum(raised["fluid"], raised["blood"])
    tops = _layers(draws, x, lifted, membrane, wave_B4W)
    echo = torch.full_like(detail, _VITREOUS)
    for top, value in tops:
        echo = torch.lerp(echo, value + 1.2 * detail, cover(top - z, soft))
    kind_B11 = torch.tensor(kinds).view(-1, 1, 1)
    faint = 1 - 0.5 * difficulty
    part = _Parts(z.expand_as(echo))
    clear = raised["fluid"] > raised["blood"]
    fluid = part.between("fluid", lifted, epithelium, clear, soft)
    echo = torch.lerp(echo, torch.full_like(echo, -30.0), faint * fluid)
    blood = part.between("blood", lifted, epithelium, ~clear, soft)
    echo = torch.lerp(echo, torch.full_like(echo, -7.0), faint * blood)
    echo = torch.lerp(echo, torch.full_like(echo, -2.0), cover(epithelium - z, soft))
    drusen = raised["drusen"] > torch.maximum(raised["ped"], raised["polyp"])
    filling = torch.where(drusen, -12.0, torch.where(kind_B11 == PCV, -24.0, -13.0)) + 2 * stroma_B2HW[:, 0]
    under = epithelium + _EPITHELIUM
    echo = torch.lerp(echo, filling, cover(under - z, soft))
    part.between("drusen", under, membrane, drusen & (raised["drusen"] > 0), soft)
    part.between("ped", under, membrane, ~drusen & (raised["ped"] > 0), soft)
    depth = torch.minimum(under + 2 * raised["polyp"], membrane)
    polyp = part.between("polyp", under, depth, raised["polyp"] > 0.01, soft)
    echo = torch.lerp(echo, torch.full_like(echo, -10.0), faint * polyp)
    choroid = -9 - 26 * (z - membrane) - 7 * cover(0.35 - stroma_B2HW[:, 0], 0.5) + 2 * stroma_B2HW[:, 1]
    end = membrane + draws.between("choroid", 0.16, 0.36) + 0.02 * wave_B4W[:, 1:2]
    choroid = torch.lerp(choroid, -17 - 12 * (z - membrane), cover(end - z, 0.03))
    echo = torch.lerp(echo, choroid, cover(membrane - z, soft))
    echo = echo + 5 * cover((z - membrane).abs() - 0.006, soft) * (below > 0.02)
    echo = _within_retina(echo, raised, x, z, tops, part, faint=faint)
    blocked = 40 * raised["blood"] + 14 * raised["ped"] + 30 * raised["polyp"] + _vessels(draws, x)
    return echo - blocked * cover(epithelium - 0.05 - z, 0.1), part.part_BHW


def _layers(draws: Draws, x: Tensor, lifted: Tensor, membrane: Tensor, wave_B4W: Tensor) -> list[tuple[Tensor, float]]:
    """(depth_B1W of its top, dB) of the layers, from the vitreous down to the outer segments."""
    pit = x.square() / draws.between("pit", 0.16, 0.30)
    open_ = 1 - torch.exp(-pit)
    thick = draws.between("thickness", 0.88, 1.12)
    rim = torch.exp(-((x.abs() - 1.0) / 1.9).square())
    fibres = thick * (0.012 + 0.016 * (x + 1.5).clamp(0, 5)) * open_ + 0.002 * wave_B4W[:, 2:3].abs()
    ganglion = thick * 0.105 * open_ * rim
    inner = thick * 0.042 * open_
    outer_plexus = thick * 0.030 * (0.2 + 0.8 * open_)
    nuclei = thick * (0.072 + 0.035 * torch.exp(-pit / 2)) + 0.003 * wave_B4W[:, 3:4]
    zone, segments = 0.030, 0.026 + 0.012 * torch.exp(-pit / 3)
    heights = [
        segments,
        torch.full_like(x, 0.016),
        torch.full_like(x, zone),
        nuclei,
        outer_plexus,
        inner,
        ganglion,
        fibres,
    ]
    values = [-13.0, -4.0, -16.0, -20.0, -10.0, -15.0, -10.5, -4.5]
    tops: list[tuple[Tensor, float]] = []
    top = lifted
    for i, (height, value) in enumerate(zip(heights, values, strict=True)):
        top = top - height
        if i == _DRAPED:
            top = membrane - _draped(membrane - top)
        tops.append((top, value))
    return tops[::-1]


def _draped(height_B1W: Tensor) -> Tensor:
    """The inner layers bridge what the outer ones follow closely."""
    reach = height_B1W.shape[-1] // 20
    wider = F.avg_pool1d(F.pad(height_B1W, (reach, reach), mode="replicate"), 2 * reach + 1, stride=1)
    return torch.maximum(height_B1W, wider)


class _Parts:
    """Masks as they accumulate."""

    def __init__(self, z: Tensor) -> None:
        self.z = z
        self.part_BHW = np.zeros(z.shape, dtype=np.uint8)

    def between(self, part: str, top: Tensor, bottom: Tensor, where: Tensor, soft: float) -> Tensor:
        """coverage_BHW between two depths in some columns; its pixels become the part's."""
        self.add(part, (self.z > top) & (self.z < bottom) & where)
        return cover(top - self.z, soft) * cover(self.z - bottom, soft) * where

    def add(self, part: str, mask_BHW: Tensor) -> None:
        """These pixels belong to the part."""
        self.part_BHW |= mask_BHW.numpy().astype(np.uint8) * np.uint8(1 << PARTS.index(part))


def _within_retina(
    echo: Tensor, raised: dict[str, Tensor], x: Tensor, z: Tensor, tops: list[tuple[Tensor, float]], part: _Parts, *,
    faint: float,
) -> Tensor:  # fmt: skip
    """Dark cysts between the inner layers, bright hard exudates."""
    ceiling, floor = tops[1][0], tops[4][0] + 0.06
    for name, part_name, value in (("cyst", "fluid", -30.0), ("exudate", "exudate", 0.0)):
        for i in range(raised[name].shape[1]):
            at, wide, tall, place = (raised[name][:, i, q].view(-1, 1, 1) for q in range(4))
            middle = torch.lerp(ceiling, floor, place)
            inside = ((x - at) / wide).square() + ((z - middle) / tall).square() - 1
            inside = torch.where(at > 50, torch.ones_like(inside), inside)
            part.add(part_name, inside < 0)
            echo = torch.lerp(echo, torch.full_like(echo, value), faint * cover(inside, 0.5))
    return echo


def _vessels(draws: Draws, x: Tensor) -> Tensor:
    """dB of the shadows below three retinal vessels."""
    shadow = torch.zeros_like(x)
    for i in range(3):
        at = draws.between(f"shadow{i}", -3, 3)
        shadow = shadow + 7 * torch.exp(-((x - at) / 0.045).square()) * (at.abs() > 0.7)
    return shadow


def _compressed(echo: Tensor, noise_B4HW: Tensor, draws: Draws, *, index_B11: Tensor, size: int) -> Tensor:
    span, gain, axial, lateral, looks = (
        torch.tensor([float(getattr(one, name)) for one in DEVICES])[index_B11]
        for name in ("range", "gain", "axial", "lateral", "looks")
    )
    widest = (max(one.axial for one in DEVICES) * size / DEEP, max(one.lateral for one in DEVICES) * size / WIDTH)
    field = scattered(
        noise_B4HW,
        torch.exp(_DB * echo),
        axial_B=(axial * size / DEEP).flatten(),
        lateral_BH=(lateral * size / WIDTH)[..., 0].expand(-1, size),
        widest=widest,
    )
    floor = 10 ** ((_VITREOUS + 3) / 10)
    power = intensity(field, looks) + floor * 0.5 * (noise_B4HW[:, 1].square() + noise_B4HW[:, 2].square())
    shown = 10 * torch.log10(power) + gain + draws.between("signal", -3, 2)
    return (1 + (shown - 3) / span).clamp(0, 1)


def _pieces(mask_HW: NDArray[np.bool_], part: str) -> list[Box]:
    if not mask_HW.any():
        return []
    numbered_HW, count = components(mask_HW, structure=np.ones((3, 3)))
    return [box for i in range(count) for box in box_around(numbered_HW == i + 1, label=part)]
