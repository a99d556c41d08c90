"""What each section of the data page says, as plain values for the template. N images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from augury.data.copies import Copy, conflicting, leaking
from augury.data.sample import Manifest
from augury.studies.check import Examined, detectable
from augury.studies.data_page import charts
from augury.studies.data_page.pictures import PAIRS, ROWS, montage, pictures
from augury.studies.report.reading import Picture
from augury.studies.report.words import count, number

Facts = Mapping[str, Any]
SHOWN = 12  # classes in a chart
LOUD = 0.65  # AUROC above which a shortcut is worth a sentence
SEED = 0
HEADS = {
    "bad": {"tone": "bad", "glyph": "!", "word": "LOOK FIRST"},
    "open": {
        "tone": "open", "glyph": "?", "word": "USABLE, WITH CARE",
        "sentence": "Nothing here forbids a study; some of it limits what one can show.",
    },
    "good": {
        "tone": "good", "glyph": "✓", "word": "NOTHING FOUND",
        "sentence": "No copies, leaks, conflicts, shortcuts or unreadable files were found.",
    },
}  # fmt: skip


def headline(problems: Sequence[Facts]) -> dict[str, str]:
    """The set in one sentence."""
    serious = sum(problem["tone"] == "bad" for problem in problems)
    if serious:
        things = "One thing" if serious == 1 else f"{serious} things"
        return HEADS["bad"] | {"sentence": f"{things} to mend or to know before this set is used."}
    return dict(HEADS["open" if problems else "good"])


def problems(found: Facts) -> list[dict[str, str]]:
    """What stands out, the serious first; each leads to its section."""
    said = [*_file_problems(found), *_copy_problems(found), *_leak_problems(found), *_label_problems(found)]
    said += [("open", f"{concern[:1].upper()}{concern[1:]}.", "detect") for concern in found["concerns"]]
    ordered = sorted(said, key=lambda item: item[0] != "bad")
    return [{"tone": tone, "text": text, "at": at} for tone, text, at in ordered]


def _file_problems(found: Facts) -> Iterable[tuple[str, str, str]]:
    if found["unreadable"]:
        yield "bad", f"{count(len(found['unreadable']), 'files')} cannot be read.", "unreadable"
    if found["mask_faults"]:
        yield "bad", f"{count(len(found['mask_faults']), 'images')} have a mask that cannot be used.", "masks"


def _copy_problems(found: Facts) -> Iterable[tuple[str, str, str]]:
    for name, words in {"exact_duplicates": "are identical to", "near_duplicates": "nearly repeat"}.items():
        files, groups = found[name]["files"], found[name]["groups"]
        if files:
            yield "open", f"{count(files, 'files')} {words} another one ({count(groups, 'groups')}).", "copies"
    if other := found["copies_with_other_labels"]["count"]:
        yield "bad", f"{count(other, 'pairs')} of copies carry two different labels.", "conflicts"


def _leak_problems(found: Facts) -> Iterable[tuple[str, str, str]]:
    for way, leak in found["leaks"].items():
        later, _, earlier = way.partition("<-")
        twins = leak.get("either", leak["exact"] + leak["near"])
        if twins:
            yield "bad", f"{count(twins, 'images')} of {later} have a twin in {earlier}.", "leaks"
        if leak["patients"]:
            yield "bad", f"{count(leak['patients'], 'patients')} lie in {later} and in {earlier}.", "leaks"


def _label_problems(found: Facts) -> Iterable[tuple[str, str, str]]:
    for shortcut in found["shortcuts"]:
        feature, auroc = shortcut["feature"], number(shortcut["auroc"], digits=2)
        if shortcut["auroc"] >= LOUD:
            yield "open", f"The label follows from the {feature} alone with an AUROC of {auroc}.", "shortcuts"
    if found["unlabelled"]:
        yield "open", f"{count(found['unlabelled'], 'images')} have no label.", "classes"


def facts(found: Facts) -> list[tuple[str, str]]:
    """The set in a few counts."""
    said = [
        ("Images", count(found["images"])),
        ("Patients", "not known" if found["patients"] is None else count(found["patients"])),
        ("Independent groups", count(found["groups"])),
        ("Unlabelled", count(found["unlabelled"]) if found["unlabelled"] else ""),
        ("Unreadable", count(len(found["unreadable"])) if found["unreadable"] else ""),
    ]
    return [(name, value) for name, value in said if value]


def classes(found: Facts) -> list[dict[str, Any]]:
    """Each class with its images, its groups, its share of the largest, and what its groups could show."""
    largest = max(found["classes"].values(), default=1) or 1
    return [
        {
            "name": name, "images": count(images), "groups": count(groups := found["groups_per_class"].get(name, 0)),
            "share": f"{100 * images / largest:.1f}",
            "detects": number(detectable(groups, classes=len(found["classes"]))),
        }
        for name, images in list(found["classes"].items())[:ROWS]
    ]  # fmt: skip


def montages(manifest: Manifest) -> list[dict[str, Any]]:
    """A few images of each class."""
    chosen = montage(manifest, seed=SEED)
    places = [(name, place) for name, positions in chosen for place in positions]
    small = pictures([manifest[i] for _, i in places], words=[f"{name}: {manifest[i].row}" for name, i in places])
    by_class: dict[str, list[Picture]] = {name: [] for name, _ in chosen}
    for (name, _), picture in zip(places, small, strict=True):
        if picture is not None:
            by_class[name].append(picture)
    return [{"name": name, "pictures": shown} for name, shown in by_class.items() if shown]


def pairs(examined: Examined, *, images: bool) -> dict[str, dict[str, Any]]:
    """Copies, conflicts and leaks: how many there are and the first of each side by side."""
    manifest = examined.manifest
    exact = [pair for pair in examined.copies if pair.exact]
    near = [pair for pair in examined.copies if not pair.exact]
    kinds = {"exact": exact, "near": near, "conflicts": conflicting(examined.copies, manifest),
             "leaks": leaking(examined.copies, manifest)}  # fmt: skip
    return {name: _side_by_side(found, manifest, most=PAIRS[name], images=images) for name, found in kinds.items()}


def _side_by_side(found: Sequence[Copy], manifest: Manifest, *, most: int, images: bool) -> dict[str, Any]:
    shown = found[:most] if images else []
    listed = found[: ROWS if not images else 0]
    both = [i for pair in shown for i in (pair.first, pair.second)]
    small = pictures([manifest[i] for i in both], words=[manifest[i].row for i in both])
    rows = []
    for place, pair in enumerate([*shown, *listed]):
        one, other = (_described(manifest, i) for i in (pair.first, pair.second))
        left, right = (small[2 * place], small[2 * place + 1]) if shown else (None, None)
        r = "identical" if pair.exact else f"r {number(pair.correlation, digits=3)}"
        rows.append({"one": one, "other": other, "left": left, "right": right, "r": r})
    more = len(found) - len(rows)
    return {"count": count(len(found), "pairs"), "any": bool(found), "more": count(more) if more else "", "rows": rows}


def _described(manifest: Manifest, place: int) -> dict[str, str]:
    sample = manifest[place]
    label = "no label" if sample.label is None else manifest.classes[sample.label]
    return {"row": sample.row, "label": label, "split": sample.split or ""}


def spreads(examined: Examined) -> list[dict[str, Any]]:
    """How intensity, contrast and size are spread in each class."""
    prints = examined.prints
    longer_N = np.maximum(prints.height_N, prints.width_N).astype(np.float64)
    measures = [
        ("Mean intensity", "share of full scale", prints.mean_N, 2),
        ("Contrast", "standard deviation of an image's grey values, share of full scale", prints.spread_N, 2),
        ("Longer side", "pixels", longer_N, 0),
        ("File size", "kB; compressed, so also a measure of texture", prints.file_size_N / 1000, 0),
    ]
    drawn = []
    for title, unit, value_N, digits in measures:
        if len(value_N) > 1 and np.ptp(value_N) > 0:
            drawn.append({"title": title, "unit": unit, "chart": _by_class(examined, value_N.astype(float), digits)})
    return drawn


def _by_class(examined: Examined, value_N: NDArray[np.float64], digits: int) -> Markup:
    label_N, names = examined.manifest.label_N, examined.manifest.classes
    kinds = sorted(set(label_N.tolist()), key=lambda label: -int((label_N == label).sum()))[:SHOWN]
    rows = {names[k] if k >= 0 else "no label": value_N[label_N == k] for k in sorted(kinds, key=lambda k: (k < 0, k))}
    return charts.spread(rows, digits=digits)


def sizes(examined: Examined) -> list[tuple[str, str]]:
    """The commonest sizes."""
    prints = examined.prints
    colours = {1: "grey", 3: "colour"}
    counts = Counter(zip(prints.width_N.tolist(), prints.height_N.tolist(), prints.channels_N.tolist(), strict=True))
    found = [(f"{w} × {h}, {colours.get(c, f'{c} channels')}", count(n)) for (w, h, c), n in counts.most_common(8)]
    rest = sum(counts.values()) - sum(n for _, n in counts.most_common(8))
    return [*found, (f"{count(len(counts) - 8)} other sizes", count(rest))] if rest else found


def shortcuts(found: Facts) -> list[dict[str, Any]]:
    """How far the label follows from what is not medicine."""
    return [
        {"feature": s["feature"], "auroc": number(s["auroc"], digits=2), "loud": s["auroc"] >= LOUD,
         "share": f"{max(0.0, min(1.0, 2 * (s['auroc'] - 0.5))) * 100:.1f}"}
        for s in found["shortcuts"]
    ]  # fmt: skip


def leaks(found: Facts) -> list[dict[str, str]]:
    """What each given split lets through."""
    return [
        {"later": way.partition("<-")[0], "earlier": way.partition("<-")[2], "exact": count(leak["exact"]),
         "near": count(leak["near"]), "patients": "not known" if found["patients"] is None else count(leak["patients"])}
        for way, leak in found["leaks"].items()
    ]  # fmt: skip


def power(found: Facts, *, noun: str) -> dict[str, Any] | None:
    """What could be detected with these patients, and with more."""
    value, of = found["smallest_detectable_difference"], found["smallest_detectable_difference_of"]
    here = of["test_patients_a_class"]
    if value is None:
        return None
    most = max(4 * here, 100)
    grid = sorted({here, *np.unique(np.geomspace(10, most, 40).astype(int)).tolist()})
    points = [(n, difference) for n in grid if (difference := detectable(n, classes=2)) is not None]
    more = [(count(k * here, noun), number(detectable(k * here, classes=2))) for k in (2, 4, 10)]
    return {"value": number(value), "here": count(here, f"independent {noun}"), "auroc": number(of["auroc"], digits=2),
            "correlation": number(of["correlation"], digits=1), "more": more,
            "chart": charts.power(points, here=here, value=value, noun=noun)}  # fmt: skip


def listed(items: Sequence[Facts]) -> dict[str, Any]:
    """The first of a list, and how many more there are."""
    return {"rows": items[:ROWS], "more": count(len(items) - ROWS) if len(items) > ROWS else ""}


def neighbours(found: Facts) -> list[tuple[str, str]]:
    """How often the nearest other image has the same label."""
    given = found["nearest_neighbour_accuracy"]
    return [(name.replace("_", " "), number(value)) for name, value in given.items()
            if name.endswith("_split") and value is not None]  # fmt: skip
