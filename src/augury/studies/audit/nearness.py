"""Are synthetic images nearer to those that the generator saw than to others? Shares, distances, membership.

S synthetic, T training, H held-out images, D features.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from augury.conditions.pairs import to_unit
from augury.data import provenance
from augury.errors import UserError
from augury.generators import load as load_generator
from augury.generators.generator import Generator
from augury.metrics.estimate import Estimate, Unit
from augury.metrics.jackknife import blocks, jackknife
from augury.metrics.neighbours import nearest
from augury.metrics.privacy import authenticity, c_t, distance_ratio, membership_auroc, nearest_share
from augury.studies.audit.encoders import Features
from augury.studies.audit.subjects import Part, Subjects
from augury.studies.told import told_again

_RELABELLINGS = 1999


def nearness(
    subjects: Subjects, z: dict[str, Features], *, seed: int, unit: Unit
) -> tuple[dict[str, dict[str, Any]], float]:
    """Rows of figures, and the p of the nearest-share test. `z` has the features of "set", "train" and "held"."""
    made, train, held = subjects.made, subjects.train, subjects.held
    share = nearest_share(
        z["set"], z["train"], z["held"], group_train_T=train.group_N, group_holdout_H=held.group_N, seed=seed
    )
    rows: dict[str, dict[str, Any]] = {
        "nearest_neighbour_share": _row(share.estimate(made.group_N, unit=unit, seed=seed)),
        "distance_ratio": _row(
            _mean(distance_ratio(z["set"], z["train"], group_train_T=train.group_N), made, seed=seed),
            _mean(distance_ratio(z["held"], z["train"], group_train_T=train.group_N), held, seed=seed),
        ),
        "authenticity": _row(
            _mean(authenticity(z["set"], z["train"]), made, seed=seed),
            _mean(authenticity(z["held"], z["train"]), held, seed=seed),
        ),
    }
    near_S, near_H = (nearest(z[side], z["train"])[0][:, 0].astype(np.float64) for side in ("set", "held"))
    rows["c_t"] = _row(_c_t(near_H, near_S, held, made))
    return rows, share.p


def black_box(z: dict[str, Features], subjects: Subjects, *, unit: Unit, seed: int) -> tuple[Estimate, float]:
    """Membership by the distance to the nearest synthetic image: its AUROC and a one-sided p."""
    scores = [-nearest(z[side], z["set"])[0][:, 0].astype(np.float64) for side in ("train", "held")]
    return _membership(scores[0], scores[1], subjects, unit=unit, seed=seed)


def generator_of(model: Path, subjects: Subjects) -> tuple[Generator, Tensor]:
    """The generator that drew the set, and its number of each class of the audit. UserError for any other model."""
    artefact = provenance.read(model)
    drew = subjects.artefact.parents.get("generator") if subjects.artefact is not None else None
    if drew is not None and drew != artefact.digest:
        raise UserError(f"--model {str(model)!r} is {artefact.digest}, the set was drawn by {drew}; expected that one")
    generator = load_generator(model)
    shape = (generator.shape.channels, generator.shape.height, generator.shape.width)
    if shape != tuple(subjects.train.pixels_NCHW.shape[1:]):
        raise UserError(f"--model {str(model)!r} draws {shape}, the audit compares other sizes; leave --size out")
    names = list(artefact.facts["classes"])
    if any(name not in names for name in subjects.classes):
        raise UserError(f"--model {str(model)!r} knows the classes {names}; expected those of --train")
    return generator, torch.tensor([names.index(name) for name in subjects.classes])


def white_box(model: Path, subjects: Subjects, *, unit: Unit, seed: int) -> tuple[Estimate, float]:
    """Membership by the generator's own score, told of every image what it was told of its own.

    UserError where held-out images cannot be told so: no masks, unknown words, HED's weights not found.
    """
    generator, place_K = generator_of(model, subjects)
    facts = provenance.read(model).facts

    def score(part: Part) -> NDArray[np.float64]:
        pairs = told_again(facts, part.manifest)
        _, condition = pairs[torch.arange(len(pairs))]
        condition = replace(condition, label_B=place_K[torch.from_numpy(np.maximum(part.label_N, 0))])
        found: NDArray[np.float64] = (
            generator.membership(to_unit(part.pixels_NCHW), condition, seed=seed).double().numpy()
        )
        return found

    return _membership(score(subjects.train), score(subjects.held), subjects, unit=unit, seed=seed)


def _membership(
    member_T: NDArray[np.float64], other_H: NDArray[np.float64], subjects: Subjects, *, unit: Unit, seed: int
) -> tuple[Estimate, float]:
    group_T, group_H = subjects.train.group_N, subjects.held.group_N
    found = membership_auroc(member_T, other_H, group_member_N=group_T, group_other_M=group_H, unit=unit, seed=seed)
    return found, relabelled_p(_by_group(member_T, group_T), _by_group(other_H, group_H), seed=seed)


def relabelled_p(member_G: NDArray[np.float64], other_G: NDArray[np.float64], *, seed: int) -> float:
    """One-sided p that members score no higher: groups change sides at random, the mean rank is compared."""
    rank_G = rankdata(np.concatenate([member_G, other_G]))
    rng, members = np.random.default_rng(seed), len(member_G)
    seen = rank_G[:members].sum()
    as_high = sum(rng.permutation(rank_G)[:members].sum() >= seen - 1e-9 for _ in range(_RELABELLINGS))
    return float((1 + as_high) / (1 + _RELABELLINGS))


def _by_group(score_N: NDArray[np.float64], group_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean over each group's images."""
    _, code_N = np.unique(group_N, return_inverse=True)
    mean_G: NDArray[np.float64] = np.bincount(code_N, weights=score_N) / np.bincount(code_N)
    return mean_G


def _row(made: Estimate, floor: Estimate | None = None) -> dict[str, Any]:
    return {"set": made.as_json(), "floor": floor and floor.as_json(), "ceiling": None, "refused": None}


def _mean(value_N: NDArray[np.float64], part: Part, *, seed: int) -> Estimate:
    block_N = blocks(part.group_N, seed=seed)
    without = [float(value_N[block_N != b].mean()) for b in np.unique(block_N)]
    return jackknife(float(value_N.mean()), without, n=part.groups, unit="group", low=0.0, high=1.0)


def _c_t(near_H: NDArray[np.float64], near_S: NDArray[np.float64], held: Part, made: Part) -> Estimate:
    """With the interval that a standard normal z has by its definition."""
    value = c_t(near_H, near_S)
    return Estimate(value=value, low=value - 1.96, high=value + 1.96, n=min(held.groups, made.groups), unit="group")
