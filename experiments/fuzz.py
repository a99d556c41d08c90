"""Spoiled and hostile files for every reader: none may crash it, hang it or take more than 2 GiB.

    python experiments/fuzz.py [--files 8000] [--seed 0] [--kinds png,dicom] [--out FOLDER]

For every kind so many files are made by spoiling well-formed ones (fuzzing/spoil.py; PNG checksums, gzip streams, zip
members and JSON trees are spoiled inside as well), then every hostile file of fuzzing/bombs.py. They are read in
processes of their own, which the system ends after 10 seconds of a processor for one file and which may take 2 GiB
more than they begin with. A finding is a death, any error but a one-line refusal, pixels out of the stated form, or
memory. With --out the results are kept and an interrupted run goes on; the files of findings are kept there too.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.bombs import BOMBS
from fuzzing.reads import spoiled_file
from fuzzing.seeds import KINDS

CHUNK = 2000  # files after which results are kept
HERE = Path(__file__).resolve().parent
MOST_DEATHS = 40  # of one kind; then the rest is left


@dataclass
class Tally:
    """What came of one kind's files."""

    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    peak: int = 0
    deaths: int = 0
    findings: dict[str, list[int]] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)

    def line(self, text: str) -> None:
        """Takes in one line of a reading process."""
        index, result, seconds, peak, said = text.split(" ", 4)
        self.done = int(index) + 1
        self.outcomes[result] += 1
        self.slowest, self.peak = max(self.slowest, float(seconds)), max(self.peak, int(peak))
        if result == "finding":
            self.found(said.strip(), int(index))
        elif "warned" in result:
            self.warnings[said.strip()] = int(index)

    def found(self, what: str, index: int) -> None:
        """A finding; those that say the same are kept together."""
        self.findings.setdefault(what, []).append(index)


def read_on(kind: str, tally: Tally, *, seed: int, last: int, folder: Path) -> None:
    """Reads the files from where the tally stands, in one process until it ends or dies."""
    command = [sys.executable, "-m", "fuzzing.reads", kind, str(seed), str(tally.done), str(last), str(folder)]
    places = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "src")])}
    with tempfile.TemporaryFile("w+", errors="replace") as said:  # a pipe that nobody reads would fill and hang it
        process = subprocess.Popen(command, env=places, stdout=subprocess.PIPE, stderr=said, text=True)
        assert process.stdout is not None
        for text in process.stdout:
            tally.line(text)
        process.wait()
        said.seek(0)
        errors = said.read()
    if process.returncode != 0:
        why = "a hang: more than 10 s" if process.returncode == -signal.SIGPROF else f"death {process.returncode}"
        tally.outcomes["finding"] += 1
        tally.deaths += 1
        tally.found(f"{why}: {errors[-300:]}", tally.done)
        tally.done += 1


def fuzz(kind: str, *, files: int, seed: int, out: Path | None, folder: Path) -> Tally:
    """All files of one kind."""
    state = None if out is None else out / f"{kind.replace(' ', '_')}.json"
    tally = Tally(**json.loads(state.read_text())) if state is not None and state.exists() else Tally()
    tally.outcomes = Counter(tally.outcomes)
    while tally.done < files and tally.deaths < MOST_DEATHS:
        read_on(kind, tally, seed=seed, last=min(files, (tally.done // CHUNK + 1) * CHUNK), folder=folder)
        if state is not None:
            beside = state.with_suffix(".new")
            beside.write_text(json.dumps(vars(tally)))
            beside.replace(state)
    return tally


def keep(kind_name: str, tally: Tally, *, seed: int, out: Path) -> None:
    """Writes the first file of every finding."""
    kind = next((one for one in KINDS if one.name == kind_name), None)
    for number, indices in enumerate(tally.findings.values()):
        if kind is not None:
            data, _ = spoiled_file(kind, kind.seeds(), seed=seed, index=indices[0])
            (out / f"{kind_name.replace(' ', '_')}-{number}-{indices[0]}").write_bytes(data)


def row(kind: str, tally: Tally) -> str:
    count = tally.outcomes
    warned = count["refused,_warned"] + count["read,_warned"]
    return (
        f"{kind:14s} {tally.done:7d} {count['refused'] + count['refused,_warned']:8d} "
        f"{count['read'] + count['read,_warned']:7d} {count['finding']:9d} {warned:7d} {tally.slowest:10.2f} "
        f"{tally.peak:9d}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=8000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join([*(kind.name for kind in KINDS), "bombs"]))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    known = [*(kind.name for kind in KINDS), "bombs"]
    if unknown := set(given.kinds.split(",")) - set(known):
        parser.error(f"got the kinds {', '.join(sorted(unknown))}; expected some of {', '.join(known)}")
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
    print("reader           files  refused    read  findings  warned  slowest s   peak MB")
    total, findings = 0, 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as place:
        for kind in given.kinds.split(","):
            files = len(BOMBS) if kind == "bombs" else given.files
            tally = fuzz(kind, files=files, seed=given.seed, out=given.out, folder=Path(place) / "set")
            print(row(kind, tally), flush=True)
            for what, indices in tally.findings.items():
                named = BOMBS[indices[0]].name if kind == "bombs" else f"file {indices[0]}"
                print(f"    {len(indices)} x {what} (first: {named})")
            for what, index in list(tally.warnings.items())[:3]:
                print(f"    warns: {what} (file {index})")
            if given.out is not None:
                keep(kind, tally, seed=given.seed, out=given.out)
            total, findings = total + tally.done, findings + tally.outcomes["finding"]
    print(f"{total} files, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
