"""A classification study that was begun before a change goes on after it: its plan and its steps keep their names."""

from __future__ import annotations

from pathlib import Path

from augury.data.sample import Manifest, Sample, digest_of
from augury.studies.graph import build
from augury.studies.plan import GeneratorPlan, Plan
from augury.studies.study import Extent, Study


def test_plan_hash_request_and_step_digests_stay() -> None:
    samples = tuple(
        Sample(row=f"r{i}", id=f"id{i}", patient=f"p{i // 2}", group=f"g{i // 2}", image=Path("x"), label=i // 2 % 2)
        for i in range(120)
    )
    manifest = Manifest(name="made", samples=samples, classes=("a", "b"), patients_known=True)
    study = Study(data="somewhere", out=Path("out"))
    plan = Plan(
        request=study.request(), data=manifest.digest, preset="quick", question="?", size=(32, 32), channels=1,
        split="grouped", drop_leaks=False, seed=3, classifier={"width": 16}, steps=10, batch=8,
        extent=Extent(folds=5, used=1, repeats=1, seeds=2, generator_seeds=1), candidates=("light", "standard"),
        generators={"cvae": GeneratorPlan(config={"latent": 8}, steps=6, batch=8)}, reference="augmented",
        arms=("augmented", "mixed:cvae:1", "duplicated:1", "labels:0.5", "generated:cvae"), primary="mixed:cvae:1",
        metric="auroc_macro", smallest_effect=0.02, gate_level=0.2,
        revisions={"classifier": 1, "steps": 1, "store": 1, "cvae": 1},
    )  # fmt: skip
    assert digest_of(study.request()) == "9cc385fe4e7f10be"
    assert plan.hash == "871a3182170bb1be"
    assert digest_of(sorted(build(plan, manifest).steps)) == "ba3ad98d5e21dfa5"
