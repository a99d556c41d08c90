"""The near duplicates of a set, found once and remembered: they depend on the pixels alone, so on the ids."""

from __future__ import annotations

import inspect
import io

import numpy as np
from numpy.typing import NDArray

from augury.data import candidates, cells, codes, duplicates, fingerprints, registration, shifts
from augury.data.cache import cache_folder, write_atomically
from augury.data.duplicates import NearPairs, near_pairs
from augury.data.fingerprints import Fingerprints
from augury.data.sample import digest_of

DECIDES = (
    fingerprints,
    codes,
    cells,
    shifts,
    candidates,
    registration,
    duplicates,
)  # a change in any of them may change the pairs


def twins(prints: Fingerprints) -> NearPairs:
    """`near_pairs(prints)`, from the cache where this set was seen before; UserError where that cannot be written."""
    if len(prints) < 2:
        nowhere = np.empty(0, dtype=np.int64)
        return NearPairs(first_P=nowhere, second_P=nowhere, correlation_P=np.empty(0))
    path = cache_folder() / "twins" / f"{_digest(prints)}.npy"
    try:
        return _unpack(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError):  # none yet, or damaged from outside
        found = near_pairs(prints)
        write_atomically(path, _packed(found))
        return found


def _digest(prints: Fingerprints) -> str:
    return digest_of({"code": [inspect.getsource(module) for module in DECIDES], "ids": prints.id_N})


def _packed(pairs: NearPairs) -> bytes:
    """An .npy file of float64: positions are whole numbers far below 2^53."""
    table_3P = np.stack([pairs.first_P, pairs.second_P, pairs.correlation_P]).astype(np.float64)
    stream = io.BytesIO()
    np.save(stream, table_3P, allow_pickle=False)
    return stream.getvalue()


def _unpack(table_3P: NDArray[np.float64]) -> NearPairs:
    first_P, second_P, correlation_P = table_3P
    return NearPairs(first_P=first_P.astype(np.int64), second_P=second_P.astype(np.int64), correlation_P=correlation_P)
