"""Results as words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def check_text(found: Mapping[str, Any]) -> str:
    """What `augury check` found, for people."""
    return "\n".join([*_counts(found), *_duplicates(found), *_leaks(found), *_ease(found), *_power(found)])


def _row(name: str, value: object) -> str:
    return f"{name:22} {value}"


def _counts(found: Mapping[str, Any]) -> Iterator[str]:
    yield _row("images", found["images"])
    yield _row("classes", ", ".join(f"{name} {count}" for name, count in found["classes"].items()) or "none")
    yield _row("patients", "not known" if found["patients"] is None else found["patients"])
    for note in found["notes"]:
        yield _row("", note)
    for note in (*found["preparation"]["words"], *found["preparation"]["augmentation"]):
        yield _row("", note)
    unreadable = found["unreadable"]
    if found["mask_faults"]:
        first = found["mask_faults"][0]
        yield _row("unusable masks", f"{len(found['mask_faults'])}; the first: {first['image']!r} {first['why']}")
    yield _row("unreadable", len(unreadable))
    for item in unreadable[:10]:
        yield _row("", f"{item['image']!r}: {item['why']}")
    if len(unreadable) > 10:
        yield _row("", f"and {len(unreadable) - 10} more (all of them with --json)")


def _duplicates(found: Mapping[str, Any]) -> Iterator[str]:
    for name in ("exact_duplicates", "near_duplicates", "conflicting_labels"):
        counted = found[name]
        yield _row(name.replace("_", " "), f"{counted['files']} files in {counted['groups']} groups")


def _leaks(found: Mapping[str, Any]) -> Iterator[str]:
    for way, leak in found["leaks"].items():
        test, _, train = way.partition("<-")
        known = found["patients"] is not None and leak["patients"] is not None
        patients = f", {leak['patients']} shared patients" if known else ""
        words = f"{leak['exact']} exact and {leak['near']} near twins of {test} images in {train}{patients}"
        yield _row("leak", words)
    if not found["leaks"]:
        yield _row("leaks", "no given split")


def _ease(found: Mapping[str, Any]) -> Iterator[str]:
    for shortcut in found["shortcuts"]:
        yield _row("shortcut", f"label predictable from {shortcut['feature']}: AUROC {shortcut['auroc']:.2f}")
    nearest = {name: value for name, value in found["nearest_neighbour_accuracy"].items() if name.endswith("_split")}
    said = [f"{value:.3f} on the {name.replace('_', ' ')}" for name, value in nearest.items() if value is not None]
    scored, of = (found["nearest_neighbour_accuracy"][name] for name in ("images", "of"))
    sample = f" (a sample of {scored:,} of {of:,} images)" if scored < of else ""
    yield _row("1-nearest neighbour", (", ".join(said) or "not computed") + sample)


def _power(found: Mapping[str, Any]) -> Iterator[str]:
    smallest, of = found["smallest_detectable_difference"], found["smallest_detectable_difference_of"]
    words = "none: too few patients in a class"
    if smallest is not None:
        words = f"{smallest:.3f} AUROC with {of['test_patients_a_class']} test patients in the rarest class"
    yield _row("detectable difference", words)
    for concern in found["concerns"]:
        yield _row("mind", concern)


def study_text(results: Mapping[str, Any], folder: Path) -> str:
    """A finished study's verdict, its arms and where the report is."""
    lines = [results["headline"]["sentence"], ""]
    metric = results["primary"]["metric"]
    for arm, facts in results["arms"].items():
        estimate = facts["metrics"][metric]
        contrast = results["contrasts"].get(arm)
        verdict = "" if contrast is None else contrast["verdict"]
        lines.append(
            f"{arm:28} {metric} {estimate['value']:.3f} [{estimate['low']:.3f}, {estimate['high']:.3f}] {verdict}"
        )
    return "\n".join([*lines, "", f"report: {folder / 'report.html'}"])
