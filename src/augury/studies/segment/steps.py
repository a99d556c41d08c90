"""What each kind of step does in a study of segmentation.

N images, n images drawn, K siblings of an image, M measures, C channels, H height, W width.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from augury.conditions.condition import Condition
from augury.conditions.joint import Moves, Placement, moved_maps
from augury.conditions.pairs import Pairs, to_uint8
from augury.data.provenance import Artefact
from augury.data.sample import IntArray
from augury.generators import load as load_generator
from augury.metrics.case_measures import MEASURES, case_metric
from augury.metrics.segmentation import case_scores, dice
from augury.predictors import load as load_predictor
from augury.predictors.phases import Merge
from augury.predictors.segmenter import THRESHOLD, Segmenter, SegmenterConfig
from augury.studies.doing import (
    KINDS,
    Doer,
    Report,
    augmentation_of,
    fit_generator,
    judges,
    phases_of,
    refuse_seen,
    run_of,
    share_of,
    tune,
    work_folder,
    writing,
)
from augury.studies.graph import Step
from augury.studies.plan import Plan
from augury.studies.workspace import Workspace
from augury.training import Run

REVISION = 1  # raised when what a step does changes its result
DRAWN_AT_ONCE = 64
SHOWN = 12  # test images whose found masks are kept for the page
JUDGED = 400  # synthetic images that the reference looks at
NAMES = tuple(MEASURES)


def _tune(step: Step, space: Workspace, report: Report | None) -> None:
    part, plan = space.partitions[step.partition], space.plan
    train, choose = space.pairs(part.train), space.pairs(part.choose)
    metric = case_metric(plan.metric, NAMES)

    def score(name: str, run: Run) -> float:
        with run.seeded("networks"):
            net = Segmenter(_config(plan, name), space.shape())
        net.fit(phases_of(PLAIN, train, None, steps=plan.steps), run, validation=choose)
        return metric.compute(choose.label_N.numpy(), cases(net, choose))

    tune(step, space, report, score=score, better=metric.better)


PLAIN = {"mode": "real", "ratio": 0.0}


def cases(net: Segmenter, pairs: Pairs) -> NDArray[np.float32]:
    """value_NM: every measure of every image of the pairs, at their own size."""
    found_NHW = net.predict(pairs.pixels_NCHW) >= THRESHOLD
    return measured(found_NHW, pairs.channel("mask") >= 128)


def measured(found_NHW: NDArray[np.bool_], truth_NHW: NDArray[np.bool_]) -> NDArray[np.float32]:
    """value_NM of found masks beside the true ones, columns as NAMES."""
    rows = [case_scores(found_HW, truth_HW) for found_HW, truth_HW in zip(found_NHW, truth_NHW, strict=True)]
    return np.array([[row[name] for name in NAMES] for row in rows], dtype=np.float32).reshape(-1, len(NAMES))


def _draw(step: Step, space: Workspace, report: Report | None) -> None:
    """Siblings of the training images, told each one's class and maps: so many times as many, in a random order.

    Each image is drawn for once before any is drawn for again, so that a prefix is a smaller set of the same kind.
    Where they are moved, the maps are turned, cropped and shifted together first, so that masks are new.
    """
    part, facts = space.partitions[step.partition], step.recipe.facts
    parent = space.parent("generator", step.recipe.parents["generator"])
    drawn, real = np.random.default_rng([space.plan.seed, facts["draw_seed"]]), space.pairs(part.train)
    count = max(1, round(facts["ratio"] * len(real)))
    place_n = np.concatenate([drawn.permutation(len(real)) for _ in range(-(-count // len(real)))])[:count]
    moves = Moves() if facts.get("moved") else None
    pixels, mask_nHW = _siblings(
        parent.folder, real, place_n, moves=moves, seed=facts["draw_seed"], device=space.device, report=report
    )
    with writing(step, space, [], [parent]) as folder:
        np.save(folder / "pixels.npy", pixels)
        np.save(folder / "mask.npy", mask_nHW)
        np.save(folder / "label.npy", real.label_N.numpy()[place_n])
        np.save(folder / "place.npy", place_n.astype(np.int64))
        np.save(folder / "source.npy", np.array([space.manifest[int(part.train[i])].id for i in place_n]))


def _siblings(
    folder: Path, real: Pairs, place_n: IntArray, *, moves: Moves | None, seed: int, device: str, report: Report | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """pixels_nCHW from the generator in a folder, told what the real images at these places are told, and mask_nHW."""
    generator, pixels, masks = load_generator(folder), [], []
    generator.nets.to(device)
    for first in range(0, len(place_n), DRAWN_AT_ONCE):
        _, asked = real[torch.from_numpy(place_n[first : first + DRAWN_AT_ONCE])]
        if moves is not None and asked.map_BKHW is not None:
            random = torch.Generator().manual_seed(seed * 1_000_003 + first)
            placement = Placement.draw(len(asked), moves, generator=random)
            asked = replace(asked, map_BKHW=moved_maps(asked.map_BKHW, asked.maps, placement))
        image_BCHW = generator.sample(told(asked, generator.config.conditions), seed=seed * 1_000_003 + first)
        pixels.append(to_uint8(image_BCHW))
        masks.append(_mask(asked))
        if report:
            report(min(first + DRAWN_AT_ONCE, len(place_n)), len(place_n))
    return np.concatenate(pixels), np.concatenate(masks)


def _mask(condition: Condition) -> NDArray[np.uint8]:
    """mask_BHW of a condition, 0 or 255."""
    if condition.map_BKHW is None:
        raise ValueError("a segmenter's images need a map 'mask'; make the pairs with it")
    return np.where(condition.map_BKHW[:, condition.maps.index("mask")].numpy() >= 0.5, 255, 0).astype(np.uint8)


def told(condition: Condition, kinds: tuple[str, ...]) -> Condition:
    """The condition's class, and of its maps those that the generator knows."""
    maps = tuple(name for name in condition.maps if name in kinds)
    if not maps or condition.map_BKHW is None:
        return Condition(label_B=condition.label_B)
    place = [condition.maps.index(name) for name in maps]
    return Condition(label_B=condition.label_B, map_BKHW=condition.map_BKHW[:, place], maps=maps)


def _fit(step: Step, space: Workspace, report: Report | None) -> None:
    """Train one arm's segmenter once and score the test fold and the gate's half, case by case."""
    part, plan, training = space.partitions[step.partition], space.plan, step.recipe.facts["training"]
    parents = [space.parent(KINDS[role], digest) for role, digest in step.recipe.parents.items()]
    saw = [*part.train, *part.choose]
    refuse_seen(space, saw, parents, [*part.gate, *part.test])
    start = time.monotonic()
    train = space.pairs(share_of(space.manifest, part.train, training["share"], plan.seed))
    net, facts = _train(step, space, train, parents, report)
    scores = {
        role: cases(net, space.pairs(index_n))
        for role, index_n in {"test": part.test, "gate": part.gate}.items()
        if len(index_n)
    }
    facts["seconds"] = time.monotonic() - start
    with writing(step, space, saw, parents) as folder:
        arrays: dict[str, Any] = {"test_index": part.test, "gate_index": part.gate, **scores}
        np.savez(folder / "predictions.npz", **arrays)
        if training["share"] == 1 and step.recipe.facts["run_seed"] == 0:
            shown = space.pairs(part.test[:SHOWN]).pixels_NCHW
            np.save(folder / "found.npy", net.predict(shown) >= THRESHOLD)
        (folder / "result.json").write_text(json.dumps(facts, indent=1, sort_keys=True))
        if step.partition < 0 or judges(step):
            net.save(folder)
    shutil.rmtree(work_folder(step, space), ignore_errors=True)


def _train(
    step: Step, space: Workspace, train: Pairs, parents: list[Artefact], report: Report | None
) -> tuple[Segmenter, dict[str, Any]]:
    part, plan, facts = space.partitions[step.partition], space.plan, step.recipe.facts
    training, drawn = facts["training"], next((p.folder for p in parents if p.kind == "draw"), None)
    choose = space.pairs(part.choose) if len(part.choose) else None
    merge = synthetic = None
    if drawn is not None and training["mode"] == "merged":
        merge = _merge(drawn, len(train), siblings=training["siblings"], classes=train.classes)
    elif drawn is not None:
        synthetic = _synthetic(drawn, max(1, round(training["ratio"] * len(train))), classes=train.classes)
    augmentation = augmentation_of(step, space)
    phases = phases_of(training, train, synthetic, steps=plan.steps, merge=merge)
    run = run_of(step, space, sum(phase.steps for phase in phases), facts["run_seed"], report)
    with run.seeded("networks"):
        net = Segmenter(_config(plan, augmentation), space.shape())
    net.fit(phases, run, validation=choose)
    return net, {"best_step": net.best_step, "augmentation": augmentation}


def _synthetic(folder: Path, count: int | None, *, classes: int) -> Pairs:
    """The first drawn images with the masks that they were asked for (None: all)."""
    label_n, mask_nHW = np.load(folder / "label.npy")[:count], np.load(folder / "mask.npy")[:count]
    return Pairs(
        pixels_NCHW=np.ascontiguousarray(np.load(folder / "pixels.npy", mmap_mode="r")[:count]),
        condition=Condition(label_B=torch.from_numpy(label_n)), classes=classes,
        map_NKHW=mask_nHW[:, None], maps=("mask",),
    )  # fmt: skip


def _merge(folder: Path, real: int, *, siblings: int, classes: int) -> Merge:
    """The siblings of every real image: each has `siblings` of them, or as many as the rarest has."""
    place_n = np.load(folder / "place.npy")
    order = np.argsort(place_n, kind="stable")
    least = min(siblings, int(np.bincount(place_n, minlength=real).min()))
    starts = np.searchsorted(place_n[order], np.arange(real))
    sibling_NK = torch.from_numpy(order[starts[:, None] + np.arange(least)])
    return Merge(siblings=_synthetic(folder, None, classes=classes), sibling_NK=sibling_NK)


def _config(plan: Plan, augmentation: str) -> SegmenterConfig:
    return SegmenterConfig(**{**plan.segmenter, "augmentation": augmentation})


def _fidelity(step: Step, space: Workspace, report: Report | None) -> None:
    """What the reference finds in synthetic images, beside the masks that were asked for, and beside others' masks.

    Of images whose mask is not empty, and of the real test images with one, for the same reference.
    """
    judge = space.parent("fit", step.recipe.parents["judge"])
    drawn = space.parent("draw", step.recipe.parents["synthetic"])
    asked = _synthetic(drawn.folder, JUDGED, classes=len(space.kinds))
    asked_NHW = asked.channel("mask") >= 128
    net: Any = load_predictor(judge.folder)
    found_NHW = net.predict(asked.pixels_NCHW) >= THRESHOLD
    with_N = np.flatnonzero(asked_NHW.any(axis=(1, 2)))
    facts = {
        "asked": dice(found_NHW[with_N], asked_NHW[with_N]).tolist(),
        "shuffled": dice(found_NHW[with_N], asked_NHW[np.roll(with_N, 1)]).tolist(),
        "real": _on_real(judge, space),
    }
    with writing(step, space, [], [judge, drawn]) as folder:
        np.save(folder / "found.npy", found_NHW[: 2 * SHOWN])
        (folder / "fidelity.json").write_text(json.dumps(facts))
    if report:
        report(1, 1)


def _on_real(judge: Artefact, space: Workspace) -> list[float]:
    """Dice of each real test image with a mask."""
    with np.load(judge.folder / "predictions.npz") as stored:
        index_n, value_nM = stored["test_index"], stored["test"]
    truth_nHW = space.pairs(index_n).channel("mask") >= 128
    found: list[float] = value_nM[truth_nHW.any(axis=(1, 2)), NAMES.index("dice")].tolist()
    return found


DOERS: dict[str, Doer] = {"tune": _tune, "generator": fit_generator, "draw": _draw, "fit": _fit, "fidelity": _fidelity}
