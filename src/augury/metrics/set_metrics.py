"""What an audit reports of a synthetic set: every name with its direction, its source and how to compute it.

N real items, M synthetic items, D features, T training items, H held-out items.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from augury.metrics.diversity import ms_ssim, unique_fraction, vendi
from augury.metrics.estimate import Metric
from augury.metrics.fidelity import squared_mmd
from augury.metrics.frechet import frechet
from augury.metrics.image_statistics import STATISTICS, shift
from augury.metrics.manifold import manifold
from augury.metrics.privacy import authenticity, c_t, distance_ratio, membership_auroc, nearest_share
from augury.metrics.two_sample import c2st

Floats = NDArray[np.floating]


def set_metric(name: str) -> Metric:
    """A metric by name, also `ks_<statistic>` and `wasserstein_<statistic>`; ValueError if there is none."""
    if name in SET_METRICS:
        return SET_METRICS[name]
    kind, _, statistic = name.partition("_")
    if kind in _SHIFTS and statistic in STATISTICS:
        source, compute = _SHIFTS[kind]
        return Metric(name=name, better="lower", source=source, compute=compute)
    raise ValueError(
        f"there is no metric {name!r}; expected one of {', '.join(SET_METRICS)}, or ks_ or wasserstein_ and one of "
        f"{', '.join(STATISTICS)}"
    )


def _ks(real_N: Floats, synthetic_M: Floats) -> float:
    return shift(real_N, synthetic_M).ks


def _wasserstein(real_N: Floats, synthetic_M: Floats) -> float:
    return shift(real_N, synthetic_M).wasserstein


def _precision(real_ND: Floats, synthetic_MD: Floats) -> float:
    return manifold(real_ND, synthetic_MD).precision


def _recall(real_ND: Floats, synthetic_MD: Floats) -> float:
    return manifold(real_ND, synthetic_MD).recall


def _density(real_ND: Floats, synthetic_MD: Floats) -> float:
    return manifold(real_ND, synthetic_MD).density


def _coverage(real_ND: Floats, synthetic_MD: Floats) -> float:
    return manifold(real_ND, synthetic_MD).coverage


def _c2st(real_ND: Floats, synthetic_MD: Floats) -> float:
    """Every item a group of its own; `c2st` takes the real groups."""
    n, m = len(real_ND), len(synthetic_MD)
    return c2st(real_ND, synthetic_MD, group_real_N=np.arange(n), group_synthetic_M=np.arange(n, n + m), seed=0).auroc


def _vendi(_real_ND: Floats, synthetic_MD: Floats) -> float:
    return vendi(synthetic_MD)


def _ms_ssim(first_PCHW: Floats, second_PCHW: Floats) -> float:
    return float(ms_ssim(first_PCHW, second_PCHW).mean())


def _unique(real_ND: Floats, synthetic_MD: Floats) -> float:
    return unique_fraction(synthetic_MD, real_ND).share


def _agreement(asked_M: NDArray[np.int64], seen_M: NDArray[np.int64]) -> float:
    return float((asked_M == seen_M).mean())


def _mean(value_M: Floats) -> float:
    return float(np.mean(value_M))


def _nearest_share(synthetic_MD: Floats, train_TD: Floats, holdout_HD: Floats) -> float:
    return nearest_share(synthetic_MD, train_TD, holdout_HD, relabellings=0).share


def _membership(score_member_T: Floats, score_other_H: Floats) -> float:
    return membership_auroc(score_member_T, score_other_H).value


def _ratio(synthetic_MD: Floats, train_TD: Floats) -> float:
    return float(distance_ratio(synthetic_MD, train_TD).mean())


def _authenticity(synthetic_MD: Floats, train_TD: Floats) -> float:
    return float(authenticity(synthetic_MD, train_TD).mean())


_SHIFTS = {
    "ks": ("largest gap of two distribution functions, one value per patient", _ks),
    "wasserstein": ("Wasserstein-1 in real standard deviations, one value per patient", _wasserstein),
}

# `compute` takes every item for a group of its own; intervals and groups are the business of the named modules.
SET_METRICS: dict[str, Metric] = {
    "kid": Metric(name="kid", better="lower", source="Binkowski et al. 2018, equation 4", compute=squared_mmd),
    "frechet": Metric(name="frechet", better="lower", source="Heusel et al. 2017, equation 6", compute=frechet),
    "manifold_precision": Metric(
        name="manifold_precision", better="higher", source="Kynkaanniemi et al. 2019, k = 5", compute=_precision
    ),
    "manifold_recall": Metric(
        name="manifold_recall", better="higher", source="Kynkaanniemi et al. 2019, k = 5", compute=_recall
    ),
    "density": Metric(name="density", better="higher", source="Naeem et al. 2020, k = 5", compute=_density),
    "coverage": Metric(name="coverage", better="higher", source="Naeem et al. 2020, k = 5", compute=_coverage),
    "c2st": Metric(name="c2st", better="lower", source="Lopez-Paz and Oquab 2017; 0.5 is ideal", compute=_c2st),
    "vendi": Metric(name="vendi", better="higher", source="Friedman and Dieng 2023", compute=_vendi),
    "ms_ssim": Metric(
        name="ms_ssim", better="lower", source="Wang et al. 2003, mean of pairs of one class", compute=_ms_ssim
    ),
    "unique_fraction": Metric(
        name="unique_fraction", better="higher", source="nearest other item beyond the real 1st percentile",
        compute=_unique,
    ),
    "label_fidelity": Metric(
        name="label_fidelity", better="higher", source="a real-trained classifier sees the class that was asked for",
        compute=_agreement,
    ),
    "nearest_neighbour_share": Metric(
        name="nearest_neighbour_share", better="lower", source="after Meehan et al. 2020; 0.5 is ideal",
        compute=_nearest_share,
    ),
    "copies": Metric(name="copies", better="lower", source="share of synthetic items flagged as copies", compute=_mean),
    "memorised": Metric(
        name="memorised", better="lower", source="share of training items that some flagged item copies", compute=_mean
    ),
    "membership_auroc": Metric(
        name="membership_auroc", better="lower", source="Yeom et al. 2018; 0.5 is ideal", compute=_membership
    ),
    "registered_correlation": Metric(
        name="registered_correlation", better="lower",
        source="mean over synthetic items of the largest Pearson r with a registered training image", compute=_mean,
    ),
    "distance_ratio": Metric(
        name="distance_ratio", better="higher", source="Lowe 2004, nearest over second nearest", compute=_ratio
    ),
    "authenticity": Metric(name="authenticity", better="higher", source="Alaa et al. 2022", compute=_authenticity),
    "c_t": Metric(name="c_t", better="higher", source="Meehan et al. 2020; 0 is ideal, -3 says copying", compute=c_t),
}  # fmt: skip
