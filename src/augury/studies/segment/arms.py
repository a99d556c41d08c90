"""The arms of segmentation: the published baselines, each against the tuned reference, and synthetic images.

Budget rule (N: the plan's steps): a merged pair costs two forward passes, a real image's and its sibling's, so
`merged` takes N steps and is controlled by `duplicated:1`, which takes 2 N.
"""

from __future__ import annotations

from collections.abc import Sequence

from augury.errors import UserError
from augury.studies.arms import Arm, complete, counted, number

SIMPLE = {
    "real": Arm(id="real", augmented=False, description="real images without augmentation: the paper's baseline"),
    "augmented": Arm(
        id="augmented", description="real images with augmentation, chosen on validation patients: the reference"
    ),
    "contrast": Arm(id="contrast", augmentation="contrast", description="random contrast alone"),
    "noise": Arm(id="noise", augmentation="noise", description="random noise alone"),
    "rotate": Arm(id="rotate", augmentation="rotate", description="small random rotations alone"),
    "scale": Arm(id="scale", augmentation="scale", description="small random changes of scale alone"),
    "cutmix": Arm(id="cutmix", augmentation="cutmix", description="pieces cut and pasted between images of one class"),
    "deepstack": Arm(id="deepstack", augmentation="deepstack", description="BigAug's nine transformations stacked"),
    "nnunet": Arm(id="nnunet", augmentation="nnunet", description="nnU-Net's 2-D default augmentation"),
}
SYNTHETIC = ("generated:G", "mixed:G:R", "merged:G")
BASELINES = ("real", "contrast", "noise", "rotate", "scale", "cutmix", "deepstack", "nnunet")


def parse(text: str, *, generators: Sequence[str]) -> Arm:
    """The arm that an id names. Raises UserError for an id that names none.

    >>> parse("merged:flow", generators=["flow"]).control
    'duplicated:1'
    """
    head, *rest = text.split(":")
    if text in SIMPLE:
        return SIMPLE[text]
    if head in ("duplicated", "labels") and len(rest) == 1:
        return counted(head, text, number(rest[0], text))
    if head in ("generated", "merged") and len(rest) == 1:
        return _whole(head, text, _known(rest[0], text, generators))
    if head == "mixed" and 1 <= len(rest) <= 2:
        return _mixed(text, _known(rest[0], text, generators), number(rest[1], text) if rest[1:] else 1.0)
    known = ", ".join([*SIMPLE, "duplicated:R", "labels:P", *SYNTHETIC])
    raise UserError(f"got the arm {text!r}; expected one of {known}; write e.g. mixed:flow:1")


def _known(name: str, text: str, generators: Sequence[str]) -> str:
    if name not in generators:
        known = ", ".join(generators)
        raise UserError(f"got the arm {text!r} with the generator {name!r}; expected one of {known}; correct the name")
    return name


def _whole(head: str, text: str, name: str) -> Arm:
    if head == "generated":
        words = f"synthetic images of {name} only"
        return Arm(id=text, mode="generated", generator=name, ratio=1.0, description=words)
    words = f"every real image with a synthetic sibling of {name}, their predictions merged patch by patch"
    return Arm(id=text, mode="merged", generator=name, ratio=1.0, control="duplicated:1", description=words)


def _mixed(text: str, name: str, ratio: float) -> Arm:
    words = f"real images and {ratio:g} times as many synthetic images of {name}"
    return Arm(
        id=text, mode="mixed", generator=name, ratio=ratio, control=f"duplicated:{ratio:g}", description=words
    )  # fmt: skip


def default(*, generators: Sequence[str], quick: bool) -> tuple[Arm, ...]:
    """The arms of a study that names none; a quick one has the four that the question needs."""
    ids = ["real", "augmented"] if quick else [*BASELINES, "augmented"]
    for name in generators:
        ids += [f"mixed:{name}:1"] if quick else [f"generated:{name}", f"mixed:{name}:1", f"merged:{name}"]
    return complete([parse(text, generators=generators) for text in ids], generators=generators, read=parse)
