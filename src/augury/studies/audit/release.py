"""The release filter: a set without the images that are near to a training image. Risk reduction, never anonymity.

What is left is a set of its own, which is audited anew.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from augury.data import provenance
from augury.data.importers import load
from augury.data.layouts import LAYOUTS
from augury.data.layouts.writing import rows_of
from augury.data.provenance import Recipe
from augury.data.sample import Manifest
from augury.errors import Refused, UserError
from augury.studies.audit.run import Options, audit
from augury.studies.audit.subjects import Asked, Note, Progress
from augury.studies.audit_page import Seen

STRICT = 0.02  # share of the controls that score as high as what is dropped: more than is flagged, to err on one side


def release_set(
    asked: Asked, options: Options, seen: Seen, out: Path, *, progress: Progress | None, note: Note
) -> Seen:
    """Write the set without what `seen` found near into the new folder `out`, and audit that.

    Refused where nothing is left; UserError where `out` holds something.
    """
    limit = float(np.quantile(seen.control_C, 1 - STRICT, method="higher"))
    manifest = load(asked.data, no_patients=True, layout=asked.layout)
    near_S = seen.score_S > limit
    note(f"{int(near_S.sum())} of {len(manifest)} images are dropped: they match a training image above {limit:.3f}, "
         f"as {100 * STRICT:g} % of the controls do")  # fmt: skip
    _write(asked.data, manifest, near_S, out, verdict=seen.facts["verdict"])
    again = audit(replace(asked, data=str(out), layout=None), options, progress=progress, note=note)
    released = {"dropped": int(near_S.sum()), "of": len(manifest), "limit": limit, "before": seen.facts["verdict"]}
    return replace(again, facts={**again.facts, "released": released})


def _write(data: str, manifest: Manifest, near_S: NDArray[np.bool_], out: Path, *, verdict: str) -> None:
    if near_S.all():
        raise Refused(
            f"all {len(manifest)} images of {data!r} are near a training image: there is nothing to release; "
            "expected some that are not; fit a generator that copies less, see --stop-at-memorisation"
        )
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise UserError(f"--release {str(out)!r} exists and is not empty; expected a new folder; name another")
    folder, kept = Path(data).expanduser(), manifest.subset(np.flatnonzero(~near_S))
    source = provenance.read(folder) if provenance.complete(folder) else None
    count_K = np.bincount(np.maximum(kept.label_N, 0), minlength=len(kept.classes)).tolist()
    facts = dict(source.facts) if source is not None else {}
    facts |= {"images": len(kept), "counts": dict(zip(kept.classes, count_K, strict=True)),
              "filtered": {"from": manifest.digest, "dropped": int(near_S.sum()), "verdict": verdict}}  # fmt: skip
    recipe = Recipe(kind="set", facts=facts, parents=dict(source.parents) if source is not None else {})
    write = LAYOUTS["manifest"].write
    assert write is not None
    with provenance.writing(out, recipe, parents=[] if source is None else [source]) as beside:
        write(rows_of(kept, keep_rows=False), beside)
        if (folder / "card.md").is_file():
            (beside / "card.md").write_text((folder / "card.md").read_text() + _ADDED.format(**facts["filtered"]))


_ADDED = """
Of the set {from} the {dropped} images nearest to training images were dropped (verdict before: {verdict}). This lowers
the risk that a patient is recognised; it does not remove it.
"""
