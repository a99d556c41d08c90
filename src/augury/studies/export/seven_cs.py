"""The scorecard for synthetic medical data: seven criteria, each with what is known here, else "not measured".

Zamzmi, Subbaswamy, Sizikova, Margerrison, Delfino, Badano, "Scorecard for synthetic medical data evaluation",
Communications Engineering 4:130 (2025), doi 10.1038/s44172-025-00450-1 (arXiv 2406.11143). The criteria's names are
theirs; the words for them and which figure of ours stands under which are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from augury.studies.export.audited import Audit
from augury.studies.export.figures import MISSING, in_words, is_estimate, metric_rows

SOURCE = "Zamzmi et al. 2025, Communications Engineering 4:130"
# criterion -> (what it asks, the beginnings of the names of the metrics that speak of it)
CRITERIA: dict[str, tuple[str, tuple[str, ...]]] = {
    "congruence": ("Are the images distributed as real ones are?",
                   ("kid", "frechet", "manifold_precision", "density", "c2st", "ks_", "wasserstein_")),
    "coverage": ("Do they show the whole variety of real ones?",
                 ("manifold_recall", "coverage", "vendi", "ms_ssim", "unique_fraction")),
    "constraint": ("Do they keep to anatomy and to what was asked of them?",
                   ("label_fidelity", "condition_fidelity", "edge_f1", "dice")),
    "completeness": ("Is everything there that the task needs?", ()),
    "compliance": ("Do privacy and the format's rules hold?",
                   ("nearest_neighbour_share", "copies", "memorised", "membership_auroc", "registered_correlation",
                    "distance_ratio", "authenticity", "c_t")),
    "comprehension": ("Is it told how they were made and where they end?", ()),
    "consistency": ("Are they as good in one class as in another?", ()),
}  # fmt: skip


def scorecard(
    audit: Audit | None, *, counts: Mapping[str, int], unlabelled: int, expected: Sequence[str], bound: str
) -> list[tuple[str, str, str]]:
    """(criterion, what it asks, what is known) for each of the seven. `expected`: the classes of the training set.

    `bound` is what differential privacy promises, "" where it promises nothing.
    """
    known = {
        "completeness": _completeness(counts, unlabelled=unlabelled, expected=expected),
        "comprehension": "this card, croissant.json",
        "consistency": _consistency(audit),
    }
    rows = []
    for name, (asks, metrics) in CRITERIA.items():
        said = known.get(name) or _measured(audit, metrics)
        rows.append((name, asks, f"{_verdict(audit, bound)}; {said}" if name == "compliance" else said))
    return rows


def _measured(audit: Audit | None, names: Sequence[str]) -> str:
    found = metric_rows(audit.part("metrics"), names=names) if audit else ()
    said = [f"{name} {value}" for name, _, value, _, _ in found if value != MISSING]
    return "; ".join(dict.fromkeys(said)) or MISSING


def _verdict(audit: Audit | None, bound: str) -> str:
    said = "not audited" if audit is None else f"audit: {audit.verdict}"
    return f"{said}; {'differentially private, ' + bound if bound else 'no bound by construction'}"


def _completeness(counts: Mapping[str, int], *, unlabelled: int, expected: Sequence[str]) -> str:
    absent = [name for name in expected if not counts.get(name)]
    said = [f"{len(counts)} classes" + (f"; not there: {', '.join(absent)}" if absent else "")]
    said.append(f"{unlabelled} images without a class" if unlabelled else "every image has its class")
    return "; ".join([*said, "age, sex and scanner do not exist for synthetic images"])


def _consistency(audit: Audit | None) -> str:
    """Of each figure by class its range; a class without a figure is told by its absence."""
    ranges: dict[str, list[tuple[float, str]]] = {}
    for name, figures in (audit.part("by_class") if audit else {}).items():
        for metric, value in _estimates(figures):
            ranges.setdefault(metric, []).append((value["value"], f"{name} {in_words(value)}"))
    said = [f"{metric}: from {min(found)[1]} to {max(found)[1]}" for metric, found in ranges.items() if len(found) > 1]
    return "; ".join(said) or MISSING


def _estimates(figures: Any) -> list[tuple[str, Any]]:
    """The estimates of one class, by metric; a metric may hold one under "set", as in the part on metrics."""
    if not isinstance(figures, dict):
        return []
    plain = {name: value.get("set", value) if isinstance(value, dict) else None for name, value in figures.items()}
    return [(name, value) for name, value in plain.items() if is_estimate(value)]
