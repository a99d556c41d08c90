"""What a private fit promises, as facts for its record and as words for its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from augury.conditions.pairs import Pairs
from augury.errors import Refused
from augury.generators.private import mechanism, unit_codes


def promise(config: Any, train: Pairs, *, patients_known: bool, batch: int, steps: int) -> dict[str, Any] | None:
    """epsilon, delta and how they were reached; None where the configuration asks for no privacy.

    The unit is a patient only where patients are known: else it is an image with its near duplicates.
    """
    dp = getattr(config, "dp", None)
    if dp is None:
        return None
    size_U = torch.bincount(unit_codes(train, dp))
    how = mechanism(dp, units=len(size_U), images=len(train), batch=batch, releases=steps * config.noisy_gradients)
    return {
        "epsilon": _short(how.epsilon), "asked": dp.epsilon, "delta": dp.delta, "noise": _short(how.noise),
        "clip": dp.clip, "rate": _short(how.rate), "releases": how.releases, "units": how.units,
        "unit": dp.unit if patients_known else "image",
        "most_images_of_a_unit": int(size_U.max()), "accountant": "rdp",
    }  # fmt: skip


def _short(value: float) -> float:
    """Six digits, so that another processor's last bit does not make another model."""
    return float(f"{value:.6g}")


def refuse_choosing(promised: Mapping[str, Any] | None, *, stops: bool) -> None:
    """Raise Refused where training images would end a private fit."""
    if promised is not None and stops:
        raise Refused(
            "--stop-at-memorisation got with dp.epsilon; expected one of them: what decides when to stop looks at the "
            "training images and is not private; leave it out"
        )


def in_words(promised: Mapping[str, Any], *, patients_known: bool, most_of_a_patient: int) -> list[str]:
    """Lines for the card."""
    return [
        f"differentially private: epsilon {promised['epsilon']:.4g} at delta {promised['delta']:g} for each "
        f"{_unit(promised, patients_known=patients_known, most_of_a_patient=most_of_a_patient)}",
        f"how: each of {promised['units']} units is in a step's batch with chance {promised['rate']:.4g}, its gradient "
        f"is cut to length {promised['clip']:g}, and the sum gets Gaussian noise of {promised['noise']:.4g} x that, "
        f"{promised['releases']} times (Abadi 2016; bound by Renyi differential privacy, Mironov 2019, with Opacus; "
        "neighbours differ by one unit more or less)",
        "taken to be public: the classes and how many images each has, the preparation, the settings, and whatever was "
        "learnt from earlier fits; off: principal components, codes of training images, mixtures fitted to codes, "
        "penalties at real images, batch statistics over real images, the watch, losses in the log",
        "the promise is about weights.safetensors and what is drawn from it; artefact.json names the training images "
        "by their digests: leave it out of what you share. The noise is torch's, not a cryptographic generator's; its "
        "key was deleted with the unfinished fit",
    ]


def _unit(promised: Mapping[str, Any], *, patients_known: bool, most_of_a_patient: int) -> str:
    if promised["unit"] == "patient":
        return f"patient, with all images (at most {promised['most_images_of_a_unit']})"
    if not patients_known:
        return "image; patients are not known: someone with k images is k-fold less protected (epsilon times k)"
    return (
        f"image, not patient: a patient with k images has k times this epsilon, and delta grows too (at most "
        f"{most_of_a_patient} images here); dp.unit=patient protects patients"
    )
