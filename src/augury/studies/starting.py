"""A fit that starts from a fitted model (the second of three stages: many organs, then the target, then drawing)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from augury.data import provenance
from augury.data.provenance import Artefact
from augury.errors import UserError
from augury.generators import GENERATORS
from augury.generators import load as load_generator
from augury.generators.flow import Flow
from augury.generators.generator import Generator
from augury.studies.material import Fit, Material


def parent_of(asked: Fit) -> Artefact | None:
    """The model to start from; None: from nothing. UserError where it is none that this method can start from."""
    if asked.init is None:
        return None
    able = [name for name, (kind, _) in GENERATORS.items() if hasattr(kind, "start_from")]
    if asked.method not in able:
        raise UserError(
            f"--init got {str(asked.init)!r}, and {asked.method} starts from nothing; expected the method "
            f"{' or '.join(able)}; leave it out"
        )
    parent = provenance.read(asked.init)
    method = parent.facts.get("method")
    if method != asked.method:
        raise UserError(
            f"--init got {str(asked.init)!r}, which holds a {method or parent.kind}; expected a {asked.method} to "
            "start from; make one with `augury fit`"
        )
    return parent


def begun(generator: Generator, parent: Artefact | None, *, classes: Sequence[str]) -> Generator:
    """The generator, set to begin with the parent's weights; UserError where the two are not of one network."""
    if parent is None or not isinstance(generator, Flow):
        return generator
    theirs = load_generator(parent.folder)
    assert isinstance(theirs, Flow)
    return generator.start_from(theirs, parent_classes=parent.facts["classes"], classes=classes)


def expect_fitting(parent: Artefact | None, asked: Fit, material: Material) -> None:
    """Before anything is written: raises Refused where the parent saw what is held out, UserError as `begun`.

    And as the generator does where its settings do not fit the images.
    """
    if asked.method not in GENERATORS:
        return
    if parent is not None and material.held is not None:
        provenance.refuse_if_seen(parent, material.held.images)
    fresh = GENERATORS[asked.method][0](asked.config, material.shape)
    begun(fresh, parent, classes=material.manifest.classes)


def facts_of(parent: Artefact) -> dict[str, Any]:
    """What a model's record says of where it started."""
    return {name: parent.facts[name] for name in ("data", "steps", "classes")} | {"digest": parent.digest}


def in_words(init: Mapping[str, Any]) -> str:
    """A line of the card, from `facts_of`."""
    return (
        f"started from a model fitted to {init['data']} in {init['steps']} steps ({init['digest']}); what that saw "
        "counts as seen"
    )
