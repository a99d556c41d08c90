"""The figures of an audit in words that need no statistician: every number with its interval, its n and its unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from augury.studies.report.words import DASH, MINUS, count, finite, number

NOT_MEASURED = "not measured"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An estimate as three short texts; the last two are empty where they are not known."""

    value: str
    interval: str
    sample: str  # n and unit

    def __str__(self) -> str:
        more = "; ".join(part for part in (self.interval, self.sample and f"n = {self.sample}") if part)
        return f"{self.value} ({more})" if more else self.value


def figure(estimate: Any, *, percent: bool = False) -> Figure | None:
    """An estimate of audit.json, with as many digits as its interval is worth; None where there is none.

    >>> str(figure({"value": 0.0225, "low": 0.0103, "high": 0.0423, "n": 400, "unit": "image"}, percent=True))
    '2.25 % (1.03 to 4.23 %; n = 400 images)'
    >>> str(figure({"value": -0.5, "low": -0.71, "high": 0.02, "n": 1, "unit": "patient"}))
    '−0.50 (−0.71 to 0.02; n = 1 patient)'
    """
    known = estimate if isinstance(estimate, Mapping) else {}
    value, low, high = (finite(known.get(key)) for key in ("value", "low", "high"))
    if value is None:
        return None
    if percent:
        said, *ends = (None if part is None else share(part) for part in (value, low, high))
    else:
        digits = _digits(high - low if low is not None and high is not None else 0.0)
        said, *ends = (None if part is None else number(part, digits=digits) for part in (value, low, high))
    return Figure(
        value=said or DASH,
        interval=f"{ends[0].removesuffix(' %')} to {ends[1]}" if ends[0] and ends[1] else "no interval",
        sample=count(known["n"], f"{known.get('unit') or 'unit'}s") if finite(known.get("n")) is not None else "",
    )


def _digits(wide: float) -> int:
    """Decimals that leave an interval this wide two digits.

    >>> _digits(0.06), _digits(12.0), _digits(0.0)
    (3, 0, 3)
    """
    return min(max(0, 1 - math.floor(math.log10(wide))), 5) if wide > 0 else 3


def share(value: Any) -> str:
    """A share in per cent.

    >>> share(0.01), share(0.205), share(None)
    ('1 %', '20.5 %', '–')
    """
    known = finite(value)
    return DASH if known is None else f"{round(100 * known, 3):.3g} %".replace("-", MINUS)


# name -> (title, one line for those who do not know it, shown in per cent)
METRICS: dict[str, tuple[str, str, bool]] = {
    "kid": (
        "Kernel distance (KID)",
        "how far the two sets lie apart for this encoder; about 0 for the same source",
        False,
    ),
    "frechet": ("Frechet distance", "distance of the two sets' means and spreads; lower is nearer", False),
    "manifold_precision": ("Precision", "share of synthetic images that lie where real ones lie", True),
    "manifold_recall": ("Recall", "share of real images that lie where synthetic ones lie", True),
    "density": ("Density", "how thickly synthetic images lie among real ones; about 1 for the same source", False),
    "coverage": ("Coverage", "share of real images with a synthetic one close by", True),
    "c2st": (
        "Told apart by a classifier",
        "AUROC of synthetic against real; 0.5: it can only guess, 1: it is always right",
        False,
    ),
    "vendi": ("Variety (Vendi score)", "as a ratio to as many real images; 1 is as varied", False),
    "ms_ssim": (
        "Likeness within a class",
        "mean structural similarity (MS-SSIM) of pairs; above real means less variety",
        False,
    ),
    "unique_fraction": (
        "Unlike all others",
        "share of images whose nearest sister is no closer than is usual for real images",
        True,
    ),
    "label_fidelity": (
        "Shows what was asked for",
        "share in which a classifier of real images sees the requested class",
        True,
    ),
    "condition_fidelity": ("Keeps to its condition", "agreement with the mask or map that was asked for", False),
    "edge_f1": ("Keeps to its edges", "agreement of drawn with requested edges", False),
    "copies": ("Flagged as near copies", "share of images above the threshold of the search for copies", True),
    "memorised": ("Training images copied", "share of training images that some flagged image copies", True),
    "nearest_neighbour_share": (
        "Nearer to training than to held-out",
        "share of images; 50 % where nothing was remembered",
        True,
    ),
    "membership_auroc": (
        "Training images recognised",
        "AUROC of telling training from held-out images; 0.5: only guessing, 1: always right",
        False,
    ),
    "registered_correlation": (
        "Agreement with the nearest",
        "mean correlation with the best training image, laid upon it",
        False,
    ),
    "distance_ratio": ("Nearest over second nearest", "near 0 where an image sits on one training image alone", False),
    "authenticity": (
        "Authenticity",
        "share farther from training than training images are from each other; about 50 % if fresh",
        True,
    ),
    "c_t": ("Copying statistic C_T", "0 is ideal; below −3 says nearer to training images than real ones are", False),
}
STATISTICS: dict[str, tuple[str, str]] = {
    "mean": ("Brightness", "mean of an image's pixels, −1 black to 1 white"),
    "sd": ("Contrast", "standard deviation of an image's pixels"),
    "skew": ("Skew", "above 0: few bright pixels among many dark"),
    "p1": ("Darkest", "1st percentile of an image's pixels"),
    "p99": ("Brightest", "99th percentile of an image's pixels"),
    "entropy": ("Entropy", "how evenly grey values are used, in bits"),
    "gradient": ("Fine detail", "mean difference of neighbouring pixels"),
    "slope": ("Spectrum slope", "lower means smoother: fine structure falls off faster"),
}
_SHIFTS = {
    "ks": ("{}: largest gap", "of the two cumulative distributions; 0 the same, 1 apart (Kolmogorov-Smirnov)"),
    "wasserstein": ("{}: shift", "mean distance moved, in standard deviations of real images (Wasserstein)"),
}
SHIFTS = tuple(f"{kind}_" for kind in _SHIFTS)
# section -> beginnings of the names of its metrics
GROUPS: dict[str, tuple[str, ...]] = {
    "Do they look real?": ("kid", "frechet", "manifold_precision", "density", "c2st", "ks_", "wasserstein_"),
    "Are they as varied as real ones?": ("manifold_recall", "coverage", "vendi", "ms_ssim", "unique_fraction"),
    "Do they show what was asked for?": ("label_fidelity", "condition_fidelity", "edge_f1"),
    "Are they too near to training images?": (
        "copies", "memorised", "nearest_neighbour_share", "membership", "registered_correlation", "distance_ratio",
        "authenticity", "c_t"),
}  # fmt: skip
OTHER = "Also measured"
WITHOUT_ENCODER = {"pixels": "On the pixels themselves", "classifier": "By a classifier fitted to real images"}
TESTS: dict[str, tuple[str, str, str]] = {
    "copies": (
        "Near copies",
        "copies",
        "Does any synthetic image match a training image more closely than chance allows?",
    ),
    "correlation": (
        "Pixel agreement",
        "registered_correlation",
        "Do pixels agree with a training image more than those of unseen images do?",
    ),
    "nearest_share": (
        "Nearest image",
        "nearest_neighbour_share",
        "Do synthetic images lie nearer to training images than to unseen ones?",
    ),
    "membership": ("Membership", "membership_auroc", "Can one tell which images the generator was trained on?"),
}
_TEST_ALIASES = {
    "copy": "copies", "registered_correlation": "correlation", "nearest_neighbour_share": "nearest_share",
    "nearest": "nearest_share", "membership_auroc": "membership",
}  # fmt: skip
KINDS = {
    "noise": "with a little noise",
    "crop": "slightly cropped",
    "flip": "mirrored",
    "brightness": "brighter or darker",
    "autoencoder": "redrawn by a network that packs and unpacks images (autoencoder)",
}


def plain(name: str) -> str:
    """An unknown name, readable.

    >>> plain("some_metric")
    'Some metric'
    """
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]


def metric(name: str) -> tuple[str, str, bool]:
    """A metric's title, its gloss, and whether it is a share.

    >>> metric("ks_mean")[0], metric("membership_auroc_elbo")[0], metric("new_one")
    ('Brightness: largest gap', 'Training images recognised, elbo', ('New one', '', False))
    """
    if name in METRICS:
        return METRICS[name]
    kind, _, rest = name.partition("_")
    if kind in _SHIFTS and rest:
        title, gloss = _SHIFTS[kind]
        return title.format(STATISTICS.get(rest, (plain(rest), ""))[0]), gloss, False
    longest = max((known for known in METRICS if name.startswith(known + "_")), key=len, default=None)
    if longest is None:
        return plain(name), "", False
    title, gloss, percent = METRICS[longest]
    return f"{title}, {name.removeprefix(longest + '_').replace('_', ' ')}", gloss, percent


def group_of(name: str) -> str:
    """The question that a metric speaks to.

    >>> group_of("kid"), group_of("coverage"), group_of("c_t"), group_of("new_one")
    ('Do they look real?', 'Are they as varied as real ones?', 'Are they too near to training images?', 'Also measured')
    """
    fitting = (group for group, starts in GROUPS.items() for one in starts if name == one or name.startswith(one))
    return next(fitting, OTHER)


def about_test(name: str) -> tuple[str, str, bool]:
    """A test's title, the question that it asks, and whether its figures are shares.

    >>> about_test("nearest_neighbour_share")[0], about_test("new_test")
    ('Nearest image', ('New test', '', False))
    """
    known = _TEST_ALIASES.get(name, name)
    if known not in TESTS:
        return plain(name), "", False
    title, measured, asks = TESTS[known]
    return title, asks, METRICS[measured][2]
