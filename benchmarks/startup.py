"""What a user waits for before anything happens: `augury --help`, and opening a set that was prepared before.

.venv/bin/python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from augury.data.importers import load
from augury.data.store import Preparation, prepare

DATA = "phantom:brain?n=3000&size=64"


def seconds(work: Callable[[], object], *, times: int) -> float:
    """Median wall seconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def opened() -> None:
    """Read the manifest and open the store."""
    prepare(load(DATA), Preparation(size=(32, 32)))


def main() -> None:
    """Print the table."""
    command = Path(sys.executable).with_name("augury")
    bare = [sys.executable, "-c", "pass"]
    python = seconds(lambda: subprocess.run(bare, check=True), times=5)
    shown = seconds(lambda: subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL), times=5)
    first = seconds(opened, times=1)
    again = seconds(opened, times=5)
    print(f"augury --help              {shown:6.2f} s   (python alone {python:.2f} s; limit 0.5 s)")
    print(f"3,000 images, first time   {first:6.2f} s")
    print(f"3,000 images, once more    {again:6.2f} s   (limit 1 s; {first / again:.0f} times faster)")


if __name__ == "__main__":
    main()
