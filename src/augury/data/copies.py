"""The pairs of images that are one picture twice, exactly or nearly, to be listed and shown. N images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from augury.data.duplicates import NearPairs, exact_groups
from augury.data.sample import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """Two positions in a manifest, first < second, and the correlation of their registered texture (1: identical)."""

    first: int
    second: int
    correlation: float
    exact: bool


def copies(manifest: Manifest, near: NearPairs) -> list[Copy]:
    """Each identical image beside the first of its kind, then the near pairs, the most alike first."""
    same = [
        Copy(first=places[0], second=other, correlation=1.0, exact=True)
        for places in exact_groups([sample.id for sample in manifest])
        for other in places[1:]
    ]
    alike = [
        Copy(first=first, second=second, correlation=correlation, exact=False)
        for first, second, correlation in zip(
            near.first_P.tolist(), near.second_P.tolist(), near.correlation_P.tolist(), strict=True
        )
    ]
    return same + sorted(alike, key=lambda pair: (-pair.correlation, pair.first, pair.second))


def conflicting(found: Iterable[Copy], manifest: Manifest) -> list[Copy]:
    """Those whose two images have different labels."""
    return [pair for pair in found if None not in (one := _labels(pair, manifest)) and one[0] != one[1]]


def leaking(found: Iterable[Copy], manifest: Manifest) -> list[Copy]:
    """Those whose two images lie in different given splits."""
    sides = [(pair, manifest[pair.first].split, manifest[pair.second].split) for pair in found]
    return [pair for pair, one, other in sides if one is not None and other is not None and one != other]


def _labels(pair: Copy, manifest: Manifest) -> tuple[int | None, int | None]:
    return manifest[pair.first].label, manifest[pair.second].label
