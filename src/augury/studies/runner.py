"""One study from the question to the page. Running it again goes on where it stopped."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from augury.data import provenance
from augury.data.cache import make_folder, write_atomically
from augury.data.fingerprints import Fingerprints
from augury.data.importers import load_with_fingerprints
from augury.data.sample import Manifest
from augury.data.store import prepare
from augury.errors import Refused, UserError
from augury.studies import engine, evidence, gallery, plan, planner, report
from augury.studies.best import hand_over
from augury.studies.graph import Graph, Step, build
from augury.studies.plan import Plan
from augury.studies.planning import weights_digest, workers_of
from augury.studies.preparing import preparation_of
from augury.studies.segment import gallery as segment_gallery
from augury.studies.segment.subjects import prepared_maps, with_masks
from augury.studies.study import Study
from augury.studies.workspace import Workspace

Progress = engine.Progress
GALLERIES = {"": gallery.write, "segment": segment_gallery.write}
Note = Callable[[str], None]


def run_study(study: Study, *, progress: Progress | None = None, note: Note | None = None) -> dict[str, Any]:
    """Answer a study's question; returns what stands in results.json. `note` hears what was recognised and planned.

    Raises UserError for anything that the user can mend, Refused for a claim that the data cannot carry.
    """
    make_folder(study.out)  # a folder that cannot be written is told before hours of work
    started = time.monotonic()
    with _alone(study.out):
        reading = None if progress is None else lambda done, total: progress("reading images", done, total)
        whole, prints = load_with_fingerprints(
            study.data, no_patients=study.no_patients, layout=study.layout, slices=study.slices, progress=reading
        )
        _say(note, *whole.notes, *(f"unreadable: {item.image!r}: {item.why}" for item in whole.unreadable))
        manifest, notes = subjects(whole, prints, study)
        _say(note, *notes)
        found = _plan_of(study, manifest, channels=1 if prints.channels_N.max() == 1 else 3, started=started)
        _say(note, found.words())
        done = _finished(study.out, found)
        return done if done is not None else _carry_out(study, found, whole, manifest, progress, started=started)


def _say(note: Note | None, *texts: str) -> None:
    for text in texts if note else ():
        note(text)  # type: ignore[misc]


def subjects(manifest: Manifest, prints: Fingerprints, study: Study) -> tuple[Manifest, tuple[str, ...]]:
    """The samples that take part, if a study can be made of them at all, and what is to be said of the others."""
    drawn = sum(sample.origin != "real" for sample in manifest)
    if drawn:
        raise Refused(
            f"{drawn} of {len(manifest)} images of {study.data} are synthetic; a study is scored on real patients "
            "only and draws its own synthetic images; leave them out"
        )
    return with_masks(manifest, prints) if study.task == "segment" else (_labelled(manifest, study), ())


def _labelled(manifest: Manifest, study: Study) -> Manifest:
    labelled = manifest.labelled()
    count_K = np.bincount(labelled.label_N, minlength=len(manifest.classes))
    if len(manifest.classes) < 2 or (count_K > 0).sum() < 2:
        raise UserError(
            f"{study.data} has {int((count_K > 0).sum())} class with images; a study compares at least 2; add a column "
            "`label`, or a folder per class (or, of masks, give --task segment)"
        )
    return labelled


def _plan_of(study: Study, manifest: Manifest, *, channels: Literal[1, 3], started: float) -> Plan:
    """The plan that stands in the folder, or the given one, or a new one; written before anything is trained."""
    path = study.out / plan.FILE
    if path.exists():
        return _same(plan.read(path), study, manifest, path)
    if study.plan is not None:
        found = _same_data(plan.read(study.plan), manifest, study.plan)
    else:
        found = planner.plan_for(study, manifest, channels=channels, spent=time.monotonic() - started)
    found.write(study.out)
    return found


def _same(found: Plan, study: Study, manifest: Manifest, path: Path) -> Plan:
    asked = json.loads(json.dumps(study.request()))
    if study.plan is not None:
        if plan.read(study.plan).hash != found.hash:
            raise UserError(f"{path} is of another study than {study.plan}; choose another --out")
    elif different := [name for name in asked if asked[name] != found.request.get(name)]:
        raise UserError(
            f"{path} is of another study (it differs in {', '.join(different)}); expected the same command; "
            "choose another --out"
        )
    return _same_data(found, manifest, path)


def _same_data(found: Plan, manifest: Manifest, path: Path) -> Plan:
    if found.data != manifest.digest:
        raise UserError(
            f"{path} was made for images with digest {found.data}, these have {manifest.digest}; expected the same "
            "images, labels and patients; choose another --out"
        )
    now = planner.revisions(found)
    if found.revisions != now:
        other = sorted(name for name in now if found.revisions.get(name) != now[name])
        raise UserError(
            f"{path} was made by another revision of {', '.join(other)} than this augury has; expected the same, since "
            "old and new steps cannot be mixed; choose another --out"
        )
    return found


def _finished(out: Path, found: Plan) -> dict[str, Any] | None:
    try:
        results: dict[str, Any] = json.loads((out / evidence.FILE).read_text())
    except (OSError, ValueError):
        return None
    whole = all((out / name).exists() for name in ("report.html", "best", "predictions.csv"))
    return results if whole and results.get("plan_hash") == found.hash else None


def _carry_out(
    study: Study, found: Plan, whole: Manifest, manifest: Manifest, progress: Progress | None, *, started: float
) -> dict[str, Any]:
    ledger = Ledger(study.out / "log.jsonl", before=time.monotonic() - started)
    space, graph = workspace(study, found, manifest)
    _describe_environment(study.out, space)
    workers = workers_of(study)
    engine.run(graph, space, workers=workers, progress=progress, finished=ledger.note)
    tables = evidence.collect(graph, space)
    tables.test.write(study.out / "predictions.csv")
    results = evidence.results(tables, graph, space, whole)
    with engine.one_thread(study.device):
        hand_over(results, graph, space, study.out / "best")
    GALLERIES[found.task](study.out / "gallery", graph, space)
    results["compute"] |= {"seconds": round(ledger.seconds(), 1), "workers": workers}
    write_atomically(study.out / evidence.FILE, json.dumps(results, indent=1, sort_keys=True) + "\n")
    report.build(study.out)
    return results


def workspace(study: Study, found: Plan, manifest: Manifest) -> tuple[Workspace, Graph]:
    """The prepared pixels and the graph of steps."""
    facts = {"size": found.size, "channels": found.channels, **found.preparation}
    store = prepare(manifest, preparation_of(facts))
    graph = build(found, manifest, planner.costs_of(found))
    artefacts, weights = make_folder(study.out / "artefacts"), _weights(study, found)
    maps = None
    if found.task == "segment":
        maps = prepared_maps(found, manifest, store, weights=weights, folder=artefacts, device=study.device)
    space = Workspace(
        plan=found, manifest=manifest, pixels=store.path, partitions=graph.partitions, maps=maps,
        artefacts=artefacts, device=study.device, weights=weights,
    )  # fmt: skip
    return space, graph


def _weights(study: Study, found: Plan) -> Path | None:
    """The weights file of the plan, wherever it lies now, if it is still the same file."""
    if found.weights is None:
        return None
    path = study.weights or Path(found.weights)
    if not path.is_file() or weights_digest(path) != found.weights_digest:
        raise UserError(
            f"the plan needs a weights file with digest {found.weights_digest}; {str(path)!r} is absent or another; "
            "name the right one with --weights"
        )
    return path


class Ledger:
    """log.jsonl: a line for each sitting that began and each step that was finished. `before`: seconds already gone."""

    def __init__(self, path: Path, *, before: float = 0.0) -> None:
        self.path = path
        if path.exists() and not path.read_bytes().endswith(b"\n"):  # a kill tore the last line
            with path.open("a") as file:
                file.write("\n")
        self._append({"began": round(time.time() - before, 1)})

    def note(self, step: Step, seconds: float) -> None:
        """A step is done."""
        self._append({"step": step.name, "words": step.words, "seconds": round(seconds, 2)})

    def seconds(self) -> float:
        """How long all sittings took: of an interrupted one, up to its last finished step."""
        self._append({"until": "now"})
        total, began, last = 0.0, None, 0.0
        for entry in map(_entry, self.path.read_text().splitlines()):
            if "began" in entry:
                total += last - began if began is not None else 0.0
                began = float(entry["began"])
            last = float(entry.get("time", last))
        return total + (last - began if began is not None else 0.0)

    def _append(self, entry: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"time": round(time.time(), 1), **entry}) + "\n")


def _entry(line: str) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:  # torn by a kill
        return {}
    return entry


def _describe_environment(out: Path, space: Workspace) -> None:
    on_gpu = space.device.startswith("cuda")
    facts = {
        **provenance.versions(), "platform": platform.platform(), "cores": os.cpu_count(), "device": space.device,
        "device_name": torch.cuda.get_device_name(space.device) if on_gpu else platform.processor() or "CPU",
        "number_format": "float32", "store": space.pixels.parent.name,
    }  # fmt: skip
    write_atomically(out / "environment.json", json.dumps(facts, indent=1, sort_keys=True) + "\n")


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the study's folder; another process in it is told to wait. A mistake leaves no folder with nothing in it."""
    with (out / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"another augury works in {out}; expected to be alone; wait for it, or stop it") from error
        try:
            yield
        except UserError:
            if [path.name for path in out.iterdir()] == [".lock"]:
                (out / ".lock").unlink()
                out.rmdir()
            raise
