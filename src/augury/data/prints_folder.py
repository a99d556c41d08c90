"""Fingerprints in a folder: written image by image, and read back with the thumbnails mapped, not loaded.

A thumbnail is 8 kB, so a million of them are 8 GB. They lie in `thumbs.u16`, little-endian, 64 x 64 for each image and
nothing else; the system fetches what is looked at and drops it again. `facts.npz` holds the rest, 112 bytes an image.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from augury.data.fingerprints import REVISION, SIDE, Fingerprint, Fingerprints
from augury.errors import UserError

THUMBS, FACTS = "thumbs.u16", "facts.npz"
_ID = 32  # bytes


class Writer:
    """Puts up to `most` fingerprints into an existing folder, one after another, holding none of their thumbnails."""

    def __init__(self, folder: Path, *, most: int) -> None:
        self._folder, self._count = folder, 0
        self._id_N = np.empty(most, dtype=f"S{_ID}")
        none = Fingerprints.of([])
        self._fact_N = {
            name: np.empty((most, *getattr(none, name).shape[1:]), dtype=getattr(none, name).dtype)
            for name in fact_names()
        }
        self._thumbs = (folder / THUMBS).open("wb")

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._thumbs.close()
        if kind is None:
            facts: dict[str, Any] = {name: value_N[: self._count] for name, value_N in self._fact_N.items()}
            np.savez(self._folder / FACTS, revision=np.int64(REVISION), id_N=self._id_N[: self._count], **facts)

    def add(self, one: Fingerprint) -> None:
        """The next image."""
        self._thumbs.write(one.thumb.astype("<u2", copy=False).tobytes())
        self._id_N[self._count] = one.id.encode()
        for name, value_N in self._fact_N.items():
            value_N[self._count] = getattr(one, name.partition("_N")[0])
        self._count += 1


def load(folder: Path) -> Fingerprints:
    """What a Writer put there; UserError where it is of another revision, OSError or ValueError where it is damaged."""
    with np.load(folder / FACTS, allow_pickle=False) as stored:
        if int(stored.get("revision", np.int64(-1))) != REVISION:
            raise UserError(f"{folder} holds fingerprints of another revision; expected {REVISION}; delete the folder")
        names = tuple(name.decode() for name in stored["id_N"].tolist())
        facts: dict[str, Any] = {name: stored[name] for name in fact_names()}
    return Fingerprints(id_N=names, thumb_NHW=_mapped(folder / THUMBS, len(names)), **facts)


def fact_names() -> tuple[str, ...]:
    """The arrays of Fingerprints but for ids and thumbnails."""
    return tuple(field.name for field in fields(Fingerprints) if field.name not in ("id_N", "thumb_NHW"))


def _mapped(path: Path, count: int) -> NDArray[np.uint16]:
    size, expected = path.stat().st_size, count * SIDE * SIDE * 2
    if size != expected:
        raise ValueError(f"{path} has {size} bytes; expected {expected} for {count} thumbnails")
    if count == 0:  # which cannot be mapped
        return np.empty((0, SIDE, SIDE), dtype=np.uint16)
    thumb_NHW: NDArray[np.uint16] = np.memmap(path, dtype="<u2", mode="r", shape=(count, SIDE, SIDE)).view(np.ndarray)
    return thumb_NHW
