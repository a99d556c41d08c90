"""Kill a study at twenty random moments; its predictions must equal those of one that was never disturbed.

.venv/bin/python experiments/kill.py [KILLS]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = "phantom:brain?n=400&size=32"
ASKED = [
    "--preset", "quick", "--generators", "cvae", "--size", "32", "--set", "steps=60", "--set", "cvae.steps=80",
    "--set", "seeds=2", "--arms", "real,mixed:cvae:0.5,sequential:cvae:0.5,generated:cvae,labels:0.5",
]  # fmt: skip


def command(out: Path, *more: str) -> list[str]:
    """The study's command line."""
    return [sys.executable, "-m", "augury.app.cli", "study", DATA, "--out", str(out), "--quiet", *ASKED, *more]


def without_times(folder: Path) -> dict[str, object]:
    """results.json but for its times."""
    results: dict[str, object] = json.loads((folder / "results.json").read_text())
    results.pop("compute")
    for arm in results["arms"].values():  # type: ignore[attr-defined]
        arm.pop("seconds")
    return results


def steps_done(folder: Path) -> int:
    """How many artefacts stand."""
    return len(list((folder / "artefacts").glob("*-*")))


def wait_for_a_step(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until one more artefact stands, or the study is over."""
    before = steps_done(folder)
    while process.poll() is None and steps_done(folder) == before:
        time.sleep(0.05)


def main(kills: int) -> None:
    """Run once undisturbed, once with `kills` kills, and compare."""
    folder = Path(tempfile.mkdtemp())
    start = time.monotonic()
    subprocess.run(command(folder / "calm"), check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - start
    moments = random.Random(0)
    landed = 0
    for kill in range(kills):
        process = subprocess.Popen(command(folder / "killed"), stdout=subprocess.DEVNULL)
        if kill % 2:  # while it trains; the others fall into start-up, planning or the first steps
            wait_for_a_step(process, folder / "killed")
        try:
            process.wait(timeout=moments.uniform(0.0, 2.5) if kill % 2 else moments.uniform(0.5, 12.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            landed += 1
        print(f"kill {landed}: {steps_done(folder / 'killed')} artefacts stand", flush=True)
    subprocess.run(command(folder / "killed"), check=True, stdout=subprocess.DEVNULL)
    same = (folder / "calm" / "predictions.csv").read_bytes() == (folder / "killed" / "predictions.csv").read_bytes()
    equal = without_times(folder / "calm") == without_times(folder / "killed")
    print(f"undisturbed: {whole:.0f} s; {landed} of {kills} kills landed before the end")
    print(f"predictions.csv byte-identical: {same}; results.json equal but for times: {equal}")
    sys.exit(0 if same and equal else 1)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
