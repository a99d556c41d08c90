"""A study's findings in sentences: the headline and the limits of what was shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from augury.data.sample import Manifest
from augury.studies.arms import Arm
from augury.studies.plan import Plan

SAYS = {
    "HELPS": "helps",
    "HURTS": "hurts",
    "NOT WORSE": "is not worse",
    "NO MEANINGFUL DIFFERENCE": "makes no meaningful difference",
    "INCONCLUSIVE": "is not shown to help or to hurt",
}


def headline(facts: Mapping[str, Any], arm: Arm) -> dict[str, str]:
    """The verdict on the primary contrast in one sentence; the figures stand below it on the page."""
    found = facts["contrasts"][arm.id]
    sentence = f"{arm.phrase} {SAYS[found['verdict']]} on these images"
    if found["verdict"] == "INCONCLUSIVE" and found.get("patients_needed"):
        needed, groups = found["patients_needed"], facts["data"]["labelled_groups"]
        if needed < 20 * groups:
            sentence += f"; about {needed:,} patients in place of {groups:,} would decide it"
    return {"arm": arm.id, "verdict": found["verdict"], "sentence": sentence + "."}


def limits(facts: Mapping[str, Any], plan: Plan, whole: Manifest) -> list[str]:
    """What the reader must know before believing the numbers."""
    said = ["The figures are of this procedure on new patients of the same source; other hospitals were not seen."]
    if not whole.patients_known:
        said.append("Patients are not known: every image was taken for a patient of its own, near-duplicates apart.")
    if facts["splits"] == 1:
        said.append("One split of the data was used: it can lean, it cannot decide.")
    if plan.split == "grouped" and any(sample.split for sample in whole):
        said.append("The data's own split column was ignored; folds were drawn anew so that no group is divided.")
    if plan.split == "given" and (left := sum(sample.split is None for sample in whole)):
        said.append(f"{left} images without a place in the given split took no part.")
    if facts["data"]["unlabelled"] and not plan.task:
        said.append(f"{facts['data']['unlabelled']} images without a label took no part.")
    if facts["data"]["unreadable"]:
        said.append(f"{facts['data']['unreadable']} images could not be read and took no part.")
    if plan.task:
        said.append(f"Masks were scored at {plan.size[0]} x {plan.size[1]} pixels, and distances count such pixels.")
    if len(plan.candidates) < 2:
        said.append(f"The strength of augmentation was not tuned; {plan.candidates[0]} was taken.")
    trained = "segmenter" if plan.task else "classifier"
    said += [
        f"The {trained} was trained for {plan.steps} steps of {plan.batch} images of "
        f"{plan.size[0]} x {plan.size[1]} pixels; longer training or larger images may change the answer.",
        *(f"{note[0].upper()}{note[1:]}." for note in (*plan.handling, *plan.notes)),
    ]
    return said
