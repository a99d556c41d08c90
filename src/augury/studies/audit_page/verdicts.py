"""What each verdict means, what it does not mean and what to do: for a reader who knows no statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from augury.studies.report.words import Verdict


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """Three short texts beside a verdict."""

    means: str
    not_means: str
    do: str


_LOOKS: dict[str, tuple[str, str]] = {  # tone and glyph: the glyph says the same without colour
    "COPIES FOUND": ("bad", "!"),
    "ELEVATED": ("bad", "▲"),
    "NO EVIDENCE OF COPYING": ("good", "="),
    "NOT TESTABLE": ("open", "?"),
}
_MEANINGS: dict[str, Meaning] = {
    "COPIES FOUND": Meaning(
        means="Some synthetic images repeat images of the training set, more closely than images of other patients "
        "ever come. They are shown below.",
        not_means="That the rest is safe once the flagged images are taken out: what was not flagged was not cleared.",
        do="Treat the set as you treat the training images: the same consent, the same access, the same people.",
    ),
    "ELEVATED": Meaning(
        means="The set as a whole stands nearer to the training images than chance allows, though no single image can "
        "be called a copy.",
        not_means="That patients can be recognised; nor that they cannot.",
        do="Share the set no more widely than the training images until the reason is found.",
    ),
    "NO EVIDENCE OF COPYING": Meaning(
        means="A search that was shown to find planted copies found none beyond chance.",
        not_means="That the set is anonymous, or that no image was copied. Fewer copies than the search can find, or "
        "copies of another kind, may be there.",
        do="Weigh this with the limits below. It is evidence for a decision about sharing, not the decision.",
    ),
    "NOT TESTABLE": Meaning(
        means="There were too few images, or none held out, to tell copies from likeness.",
        not_means="That no copies are there. Nothing was shown either way.",
        do="Treat the set as you treat the training images, or audit it again beside real images of patients "
        "whom the generator never saw.",
    ),
}  # fmt: skip
_UNKNOWN = Meaning(
    means="This verdict is not one that this page knows.", not_means="That the set is safe to share.",
    do="Treat the set as you treat the training images.",
)  # fmt: skip


def look(word: Any) -> Verdict:
    """How a verdict is shown; an unknown word as it is."""
    tone, glyph = _LOOKS.get(str(word), ("open", "•"))
    return Verdict(word=str(word), glyph=glyph, tone=tone)


def meaning(facts: Mapping[str, Any]) -> Meaning:
    """What the verdict of this audit says to a reader."""
    return _MEANINGS.get(str(facts.get("verdict")), _UNKNOWN)
