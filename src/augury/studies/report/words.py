"""Numbers, metrics, arms and verdicts in words that a clinician reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MINUS, DASH = "\u2212", "\u2013"
MISSING = "not recorded"

METRICS: dict[str, tuple[str, str]] = {
    "accuracy": ("Accuracy", "share of images whose class was named correctly"),
    "balanced_accuracy": ("Balanced accuracy", "mean over classes of the share recognised"),
    "recall_micro": ("Recall, micro", "equals accuracy where every image has one class"),
    "recall_macro": ("Recall, macro", "mean over classes of the share recognised"),
    "precision_micro": ("Precision, micro", "equals accuracy where every image has one class"),
    "precision_macro": ("Precision, macro", "mean over classes of the share of calls that were right"),
    "f1_micro": ("F1, micro", "equals accuracy where every image has one class"),
    "f1_macro": ("F1, macro", "mean over classes of the harmonic mean of precision and recall"),
    "f1_sensitivity_specificity": ("F1 of sens. and spec.", "harmonic mean of sensitivity and specificity"),
    "auroc_macro": ("Macro AUROC", "chance that an image of a class is ranked above one of another, mean over classes"),
    "auprc_macro": ("Macro AUPRC", "area under the precision-recall curve, mean over classes"),
    "kappa_quadratic": ("Weighted kappa", "agreement with the grade beyond chance, quadratic weights"),
    "mcc": ("Matthews correlation", "correlation between true and named class"),
    "ece": ("Calibration error", "mean gap between stated confidence and the share that was right; lower is better"),
    "brier": ("Brier score", "mean squared error of the probabilities; lower is better"),
    "dice": ("Dice", "overlap of drawn and true region, mean over cases"),
    "jaccard": ("Jaccard", "share of what either drew that both drew, mean over cases"),
    "hd95": ("HD95", "95th percentile of the distances between the contours, in pixels; lower is better"),
    "assd": ("ASSD", "average distance between the contours, in pixels; lower is better"),
    "pixel_precision": ("Pixel precision", "share of the drawn pixels that are true, mean over cases"),
    "pixel_recall": ("Pixel recall", "share of the true pixels that were drawn, mean over cases"),
    "pixel_accuracy": ("Pixel accuracy", "share of all pixels told rightly, mean over cases"),
    "kid": ("KID", "distance between synthetic and held-out real images (kernel inception distance); lower is better"),
}
LOWER_IS_BETTER = frozenset({"ece", "brier", "hd95", "assd", "kid"})
SEVEN = ("accuracy", "recall_micro", "recall_macro", "precision_micro", "precision_macro", "f1_micro", "f1_macro")
ARMS: dict[str, str] = {
    "real": "Real images, no augmentation",
    "augmented": "Real images with standard augmentation",
    "balanced": "Augmented, classes drawn equally often",
    "duplicated": "Real images repeated to the same count and steps",
    "probe": "Frozen pretrained features with logistic regression",
    "pretrained": "Augmented, started from given weights",
    "generated": "Synthetic images only",
    "mixed": "Real and synthetic images together",
    "sequential": "Synthetic images first, then real",
    "ssl": "Pretrained without labels, then fine-tuned",
    "shuffled": "Synthetic images with shuffled labels, which must lose",
    "labels": "The reference on a share of the patients",
    "contrast": "Random contrast alone",
    "noise": "Random noise alone",
    "rotate": "Small random rotations alone",
    "scale": "Small random changes of scale alone",
    "cutmix": "Pieces cut and pasted between images of one class",
    "deepstack": "BigAug's nine transformations stacked",
    "nnunet": "nnU-Net's 2-D default augmentation",
    "merged": "Each real image with a synthetic sibling, their predictions merged patch by patch",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a verdict is shown: `tone` picks the colour, `glyph` says the same without colour."""

    word: str
    glyph: str
    tone: str


VERDICTS: dict[str, tuple[str, str]] = {
    "HELPS": ("▲", "good"),
    "HURTS": ("▼", "bad"),
    "NO MEANINGFUL DIFFERENCE": ("=", "even"),
    "NOT WORSE": ("≥", "even"),
    "INCONCLUSIVE": ("?", "open"),
}


def verdict(word: str) -> Verdict:
    """The look of a verdict word; an unknown word is shown as it is."""
    glyph, tone = VERDICTS.get(word, ("•", "open"))
    return Verdict(word=word, glyph=glyph, tone=tone)


def finite(value: Any) -> float | None:
    """The number, or None where it is missing, not a number or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def number(value: Any, *, digits: int = 3, sign: bool = False) -> str:
    """A number with a true minus sign.

    >>> number(-0.0123), number(0.5, sign=True), number(None), number(0.02), number(-0.0001, sign=True)
    ('−0.012', '+0.500', '–', '0.020', '0.000')
    """
    known = finite(value)
    if known is None:
        return DASH
    text = f"{abs(known):.{digits}f}"
    if not text.strip("0."):
        return text
    return (MINUS if known < 0 else "+" if sign else "") + text


def interval(estimate: Mapping[str, Any] | None, *, sign: bool = False, digits: int = 3) -> str:
    """The interval alone, or nothing where none was computed.

    >>> interval({"value": 0.01, "low": -0.002, "high": 0.03}, sign=True)
    '−0.002 to +0.030'
    """
    low, high = (finite((estimate or {}).get(end)) for end in ("low", "high"))
    if low is None or high is None:
        return ""
    return f"{number(low, digits=digits, sign=sign)} to {number(high, digits=digits, sign=sign)}"


def estimate_words(estimate: Mapping[str, Any] | None, *, sign: bool = False, digits: int = 3) -> str:
    """A value with its interval in one phrase."""
    if not estimate or finite(estimate.get("value")) is None:
        return MISSING
    inside = interval(estimate, sign=sign, digits=digits)
    return number(estimate["value"], sign=sign, digits=digits) + (f" ({inside})" if inside else " (no interval)")


def p_value(value: Any) -> str:
    """A p value to three decimals, never 0.

    >>> p_value(0.00002), p_value(0.0312), p_value(1.0), p_value(None)
    ('<0.001', '0.031', '1.000', '–')
    """
    known = finite(value)
    return "<0.001" if known is not None and known < 0.001 else number(value)


def count(value: Any, noun: str = "") -> str:
    """A count with thin thousands separators and its noun.

    >>> count(12345), count(1, "patients"), count(None)
    ('12\\u202f345', '1 patient', '–')
    """
    known = finite(value)
    if known is None:
        return DASH
    text = f"{round(known):,}".replace(",", "\u202f").replace("-", MINUS)
    return f"{text} {noun.removesuffix('s') if text == '1' else noun}".strip()


def duration(seconds: Any) -> str:
    """A span of time in its two largest units.

    >>> duration(3.2), duration(252), duration(3780), duration(None)
    ('3 s', '4 min 12 s', '1 h 03 min', '–')
    """
    known = finite(seconds)
    if known is None:
        return DASH
    minutes, rest = divmod(round(known), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def metric_title(name: str) -> str:
    """The metric's name as a heading.

    >>> metric_title("auroc_macro"), metric_title("sensitivity_glioma"), metric_title("hd95")
    ('Macro AUROC', 'Sensitivity, glioma', 'HD95')
    """
    for side in ("sensitivity", "specificity"):
        if name.startswith(side + "_"):
            return f"{side.capitalize()}, {name.removeprefix(side + '_')}"
    return METRICS.get(name, (name, ""))[0]


def arm_words(arm: str) -> str:
    """What an arm trains on, from its id alone.

    >>> arm_words("mixed:cgan:0.5")
    'Real and synthetic images together (cgan, 0.5)'
    """
    head, *rest = arm.split(":")
    text = ARMS.get(head, arm)
    return f"{text} ({', '.join(rest)})" if rest and head in ARMS else text
