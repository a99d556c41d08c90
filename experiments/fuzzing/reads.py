"""A process that spoils files, reads them and says what happened, one line a file. The system ends it if it hangs.

    python -m fuzzing.reads KIND SEED FIRST LAST FOLDER

A line is `index outcome seconds peak text`: outcome "read", "refused" or "finding", seconds of the processor, the peak
memory in MB above what the process had when it began.
"""

from __future__ import annotations

import resource
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from augury.data.layouts import list_path
from augury.data.readers import MAX_PIXELS, UnreadableImage, read
from augury.errors import UserError
from fuzzing.bombs import BOMBS
from fuzzing.seeds import FILE_NAMES, KINDS, Kind, pngs

HANG = 10.0  # seconds of the processor for one file
MEMORY = 2 << 30  # bytes beyond what the process has at its start


def spoiled_file(kind: Kind, seeds: list[bytes], *, seed: int, index: int) -> tuple[bytes, str | None]:
    """The bytes of one file and the member that is asked for: a function of the kind, the seed and the index."""
    rng = np.random.default_rng([seed, index, *kind.name.encode()])
    chosen = seeds[int(rng.integers(len(seeds)))]
    return kind.spoil(chosen, rng), kind.members[int(rng.integers(len(kind.members)))]


def outcome(kind: Kind, folder: Path, data: bytes, member: str | None) -> tuple[str, str]:
    """What came of one file, and what was said."""
    path = folder / FILE_NAMES.get(kind.name, "image")
    path.write_bytes(data)
    try:
        if kind.listed:
            list_path(path if kind.name in ("npz listed", "coco json", "datalist json") else folder)
        else:
            _check(read(path, member).pixels)
    except UserError as error:
        return _refusal(error)
    except Exception as error:
        return "finding", f"{type(error).__name__}: {error}"
    return "read", ""


def _check(pixels: np.ndarray) -> None:
    good = pixels.dtype in (np.uint8, np.uint16) and pixels.ndim in (2, 3) and min(pixels.shape[:2]) >= 8
    if not good or pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        raise AssertionError(f"pixels of {pixels.dtype} {pixels.shape}")


def _refusal(error: UserError) -> tuple[str, str]:
    text = str(error)
    if isinstance(error, UnreadableImage) and "machine's memory" in text:
        return "finding", f"more than 2 GiB: {text}"
    if not text or "\n" in text or len(text) > 2000:
        return "finding", f"a refusal that is not one line: {text[:300]!r}"
    return "refused", text


def main(kind_name: str, seed: int, first: int, last: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    warned: list[str] = []
    warnings.showwarning = lambda message, *_: warned.append(str(message))  # type: ignore[assignment]
    kind = next((one for one in KINDS if one.name == kind_name), None)
    if kind is not None and kind.listed:
        for name in ("a.png", "b.png"):
            (folder / name).write_bytes(pngs()[0])
    seeds = kind.seeds() if kind else []
    base = _peak()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
    for index in range(first, last):
        if kind is None:
            one = BOMBS[index]
            one_kind, (data, member) = one.kind, one.made()
        else:
            one_kind, (data, member) = kind, spoiled_file(kind, seeds, seed=seed, index=index)
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, HANG)  # at its end the system ends the process
        result, text = outcome(one_kind, folder, data, member)
        signal.setitimer(signal.ITIMER_PROF, 0)
        seconds, peak = time.process_time() - began, (_peak() - base) >> 10
        if kind is None and (one.says is not None and (result != "refused" or one.says not in text)):
            result, text = "finding", f"{result}, expected a refusal with {one.says!r}: {text}"
        if result == "refused" and warned:
            result = "refused, warned"
        elif warned and result == "read":
            result = "read, warned"
        said = text if result != "refused, warned" else warned[0]
        print(index, result.replace(" ", "_"), f"{seconds:.3f}", peak, ascii(said)[:300], flush=True)
        warned.clear()
    shutil.rmtree(folder, ignore_errors=True)


def _peak() -> int:
    """Kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5]))
