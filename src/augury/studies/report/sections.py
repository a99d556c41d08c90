"""What each section of the page says, as plain values for the template. Every section may be absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augury.studies.report import charts, words
from augury.studies.report.reading import Finished, objects, sentences, table
from augury.studies.report.words import DASH, count, estimate_words, finite, interval, metric_title, number, p_value

Results = Mapping[str, Any]
MAIN_METRICS = ("auroc_macro", "auprc_macro", "kappa_quadratic", "balanced_accuracy", "accuracy", "f1_macro", "mcc",
                "brier", "ece", "dice", "jaccard", "hd95", "assd", "pixel_precision", "pixel_recall",
                "pixel_accuracy")  # fmt: skip
VERSIONS = ("augury", "python", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "platform", "system",
            "device_name", "cores", "threads", "memory", "device", "gpu", "cuda", "precision")  # fmt: skip
LEANING = {"up": "leaning up", "down": "leaning down", "neither": "leaning neither way"}
TWINS = ("exact", "near", "patients")
# (the given split was used, it leaks)
GIVEN = {
    (False, True): "The split that came with the data was not used; it would have leaked",
    (False, False): "The split that came with the data was not used, though it does not leak",
    (True, True): "The split that came with the data was used; before training twins were dropped it leaked",
    (True, False): "The split that came with the data was used; it does not leak",
}
FIDELITY = ("KID (lower is better)", "KID floor and ceiling", "Label fidelity", "By class", "Nearest neighbours")
RECEIPT = (
    ("patients_shared", "patients both in training and test"),
    ("duplicates_shared", "identical or near-identical images both in training and test"),
)


def primary(results: Results) -> dict[str, Any]:
    """The primary comparison with nothing missing but the control."""
    given = table(results.get("primary"))
    arm = given.get("contrast") or table(results.get("headline")).get("arm")
    return {
        "metric": str(given.get("metric") or "primary metric"),
        "reference": str(given.get("reference") or "augmented"),
        "control": given.get("control"),
        "d0": finite(given.get("smallest_effect")) or 0.02,
        "arm": str(arm) if arm else None,
    }


def nouns(results: Results) -> str:
    """What is counted as a person: images stand for patients where nobody knows the patients."""
    return "images" if table(results.get("data")).get("patients") is None else "patients"


def description(results: Results, arm: str) -> str:
    """The arm in words: the plan's, else what its id says."""
    said = str(table(table(results.get("arms")).get(arm)).get("description") or words.arm_words(arm))
    return said[:1].upper() + said[1:]


def contrast(results: Results, arm: str, *, axis: charts.Axis) -> dict[str, Any]:
    """One row of the forest plot."""
    found, first = table(table(results.get("contrasts")).get(arm)), primary(results)
    against, control = table(found.get("difference")), table(found.get("versus_control"))
    leaning = found.get("leaning")
    return {
        "arm": arm,
        "words": description(results, arm),
        "primary": arm == first["arm"],
        "against": estimate_words(against, sign=True),
        "value": number(against.get("value"), sign=True),
        "interval": interval(against, sign=True),
        "control": estimate_words(control, sign=True) if control else None,
        "control_value": number(control.get("value"), sign=True),
        "control_interval": interval(control, sign=True),
        "control_arm": found.get("control") if control else None,
        "verdict": words.verdict(str(found.get("verdict") or DASH)),
        "leaning": LEANING.get(str(leaning)) if found.get("verdict") == "INCONCLUSIVE" else None,
        "needed": count(found.get("patients_needed"), nouns(results)) if found.get("patients_needed") else None,
        "strip": charts.strip(axis, against or None, control or None, d0=first["d0"], label=arm),
        "p": p_value(found.get("p_adjusted")),
        "checks": {k: p_value(v) for k, v in table(table(results.get("cross_checks")).get(arm)).items()},
        "n": count(against.get("n"), f"{against.get('unit') or 'unit'}s") if against.get("n") else None,
    }


def forest(results: Results) -> dict[str, Any] | None:
    """All contrasts, the primary one first; shares of labels stand in the learning curve instead."""
    first = primary(results)
    found = table(results.get("contrasts"))
    hidden = bool(results.get("learning_curve"))
    arms = [a for a in found if a != first["reference"] and not (hidden and a.startswith("labels:"))]
    if not arms:
        return None
    arms.sort(key=lambda a: a != first["arm"])
    pairs = [(table(found[a]).get("difference"), table(found[a]).get("versus_control")) for a in arms]
    axis = charts.difference_axis(pairs, d0=first["d0"])
    rows = [contrast(results, arm, axis=axis) for arm in arms]
    outside = [a for a, p in zip(arms, pairs, strict=True) if axis.leaves(p)]
    better = "lower" if first["metric"] in words.LOWER_IS_BETTER else "higher"
    return {"rows": rows, "scale": charts.scale(axis), "zero": axis.percent(0), "outside": outside,
            "better": better, "checks": sorted({k for r in rows for k in r["checks"]})}  # fmt: skip


def per_arm(results: Results) -> dict[str, Any] | None:
    """Absolute values: arms down, metrics across, the primary metric first."""
    arms, first = table(results.get("arms")), primary(results)
    present = {m for a in arms.values() for m in table(table(a).get("metrics"))}
    known = [m for m in dict.fromkeys((first["metric"], *MAIN_METRICS)) if m in present]
    columns, more = known[:7], known[7:]
    if not columns:
        return None
    rows = [{"arm": a, "words": description(results, a), "reference": a == first["reference"],
             "cells": [cell(arms[a], m) for m in columns]} for a in arms]  # fmt: skip
    return {
        "columns": [(metric_title(m), words.METRICS.get(m, ("", ""))[1]) for m in columns],
        "rows": rows,
        "more": [metric_title(m) for m in more],
        "below_probe": below_probe(arms, first["metric"]),
        "classes": per_class(results),
    }


def cell(arm: Any, metric: str) -> dict[str, str]:
    """A value and its interval."""
    found = table(table(table(arm).get("metrics")).get(metric))
    return {"value": number(found.get("value")), "interval": interval(found)}


def below_probe(arms: Mapping[str, Any], metric: str) -> list[str]:
    """The arms that score less than frozen features with a logistic regression, which take a minute."""
    values = {a: finite(table(table(table(x).get("metrics")).get(metric)).get("value")) for a, x in arms.items()}
    floor = values.get("probe")
    if floor is None or metric in words.LOWER_IS_BETTER:
        return []
    return [a for a, v in values.items() if v is not None and v < floor and not a.startswith("labels:")]


def per_class(results: Results) -> dict[str, Any] | None:
    """Sensitivity and specificity of each class for the reference and the primary arm."""
    arms, first = table(results.get("arms")), primary(results)
    shown = [a for a in dict.fromkeys((first["reference"], first["arm"])) if a in arms]
    names = list(table(table(results.get("data")).get("classes")))
    rows = [
        (n, [cell(arms[a], f"{side}_{n}") for a in shown for side in ("sensitivity", "specificity")]) for n in names
    ]
    rows = [row for row in rows if any(c["value"] != DASH for c in row[1])]
    return {"arms": shown, "rows": rows} if rows else None


def curve(results: Results) -> dict[str, Any] | None:
    """The learning curve and what each arm is worth in patients."""
    points = [p for p in objects(results.get("learning_curve"))
              if finite(p.get("patients")) and finite(table(p.get("estimate")).get("value")) is not None]  # fmt: skip
    if not points:
        return None
    points.sort(key=lambda p: float(p["patients"]))
    first, noun = primary(results), nouns(results)
    worth = table(results.get("worth_patients"))
    level = table(table(table(table(results.get("arms")).get(first["arm"])).get("metrics")).get(first["metric"]))
    score, gain = finite(level.get("value")), finite(worth.get(first["arm"]))
    chart = charts.learning_curve(points, metric=first["metric"], noun=noun, value=score, worth=gain)
    drawn = charts.is_drawn(points, value=score, worth=gain)
    rows = [(f"{number(100 * p['share'], digits=0)} %" if finite(p.get("share")) else DASH, count(p["patients"]),
             estimate_words(p["estimate"])) for p in points]  # fmt: skip
    return {
        "chart": chart,
        "rows": rows,
        "noun": noun,
        "drawn": drawn,
        "worth": [(a, worth_words(w, noun)) for a, w in worth.items()],
    }


def worth_words(worth: Any, noun: str) -> str:
    """What an arm is worth, in patients.

    >>> worth_words(84.2, "patients"), worth_words(None, "images")
    ('is worth about 84 more patients', 'cannot be placed on this curve')
    """
    known = finite(worth)
    if known is None:
        return "cannot be placed on this curve"
    if round(known) == 0:
        return f"is worth no more {noun}"
    return f"is worth about {count(abs(known))} {'more' if known > 0 else 'fewer'} {noun}"


def receipt(study: Finished) -> dict[str, Any]:
    """The leak receipt: what was counted, whether it is clean, and what a given split leaks."""
    found = table(study.results.get("leaks"))
    lines = [(finite(found.get(key)), text) for key, text in RECEIPT]
    given = table(found.get("given_split"))
    given = {name: leak for name, leak in (table(given.get("leaks")) or given).items() if isinstance(leak, dict)}
    leaky = any(finite(leak.get(k)) for leak in given.values() for k in TWINS)
    kept = finite(found.get("duplicate_groups_kept_together"))
    return {
        "lines": [(count(value), text, value) for value, text in lines],
        "state": "unknown" if None in [v for v, _ in lines] else "leak" if any(v for v, _ in lines) else "clean",
        "kept": None if kept is None else count(kept),
        "given": [(name, [count(leak.get(k)) for k in TWINS]) for name, leak in given.items()],
        "given_words": GIVEN[study.plan.get("split") == "given", leaky],
    }


def generators(results: Results) -> dict[str, Any] | None:
    """Fidelity of each generator; columns that no generator fills are left out."""
    found = {n: f for n, f in table(results.get("generators")).items() if isinstance(f, dict)}
    rows = {name: generator(facts) for name, facts in found.items()}
    columns = [c for c in FIDELITY if any(row[c] for row in rows.values())]
    return {"columns": columns, "rows": [(n, [r[c] for c in columns]) for n, r in rows.items()]} if columns else None


def generator(facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """The lines in each column of one generator: an estimate, a number or a word is shown as it comes."""
    kid, fidelity, nearest = (table(facts.get(k)) for k in ("kid", "label_fidelity", "nearest"))
    lines = (
        [shown(kid, digits=4)] if kid else [],
        [f"{k} {shown(kid[k], digits=4)}" for k in ("floor", "ceiling") if kid.get(k) is not None],
        [shown(fidelity)] if fidelity else [],
        [f"{k} {shown(v)}" for k, v in table(facts.get("label_fidelity_of_class")).items()],
        [f"{k.replace('_', ' ')} {shown(v)}" for k, v in nearest.items()],
    )
    return dict(zip(FIDELITY, lines, strict=True))


def shown(value: Any, *, digits: int = 3) -> str:
    """An estimate, a number or a word."""
    if isinstance(value, dict):
        return estimate_words(value, digits=digits)
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value)
    return number(value, digits=digits) if isinstance(value, float) or value is None else str(value)


def seven(results: Results) -> list[dict[str, Any]]:
    """System 2's own table; rows about a model's own training set are marked `fit`."""
    rows = [(row, table(row.get("metrics")) or row) for row in objects(results.get("table"))]
    return [
        {"arm": str(row.get("arm", DASH)), "set": str(row.get("set", DASH)), "fit": row.get("set") == "train",
         "cells": [number(v.get("value") if isinstance(v := facts.get(m), dict) else v) for m in words.SEVEN]}
        for row, facts in rows
    ]  # fmt: skip


def gate(results: Results) -> dict[str, Any] | None:
    """What was handed over, and why."""
    found = table(results.get("gate"))
    if not found.get("chosen"):
        return None
    chosen, level = str(found["chosen"]), finite(found.get("level"))
    return {
        "chosen": chosen,
        "words": description(results, chosen),
        "kept": chosen == primary(results)["reference"],
        "level": number(level, digits=2),
        "bound": number(found.get("lower_bound"), sign=True) if finite(found.get("lower_bound")) is not None else None,
        "reason": " ".join(sentences([found.get("reason") or ""])),
    }


def ran(study: Finished) -> dict[str, Any]:
    """What was run, for how long, on what. Only versions and hardware are shown of the environment."""
    results, compute = study.results, table(study.results.get("compute"))
    flat = {**study.environment, **table(study.environment.get("packages")), **table(study.environment.get("versions"))}
    estimate = compute.get("estimate_seconds")
    seconds = {a: finite(table(x).get("seconds")) for a, x in table(results.get("arms")).items()}
    facts = [
        ("Preset", str(results["preset"]) if results.get("preset") else None),
        ("Time", words.duration(compute.get("seconds")) if finite(compute.get("seconds")) else None),
        ("Estimated before", words.duration(estimate) if finite(estimate) else None),
        ("Device", str(compute["device"]) if compute.get("device") else None),
        ("Budget", words.duration(compute.get("budget_seconds")) if finite(compute.get("budget_seconds")) else None),
        ("Steps of the plan", count(compute["steps"]) if isinstance(compute.get("steps"), int) else None),
        ("Processes", count(compute["workers"]) if isinstance(compute.get("workers"), int) else None),
    ]  # fmt: skip
    longest = max([s for s in seconds.values() if s] or [1.0])
    return {
        "facts": [(name, value) for name, value in facts if value],
        "arms": [(a, words.duration(s), round(100 * s / longest, 1)) for a, s in seconds.items() if s is not None],
        "versions": [(k, str(flat[k])) for k in VERSIONS if isinstance(flat.get(k), str | int | float)],
        "dropped": sentences(results.get("dropped")),
    }
