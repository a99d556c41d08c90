"""A synthetic set, and an audit of it as the audit writes one: every part of audit.json, with figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from augury.data import png
from augury.data.importers import load

DREW = "0123456789abcdef"


def estimate(value: float, n: int = 40, unit: str = "image") -> dict[str, Any]:
    return {"value": value, "low": value / 2, "high": value * 2, "n": n, "unit": unit}


def audit_facts(digest: str, *, verdict: str = "NO EVIDENCE OF COPYING") -> dict[str, Any]:
    """audit.json by the contract, with the names of training images where the audit shows them."""
    metric = {"set": estimate(0.125), "floor": estimate(0.03125), "ceiling": estimate(0.5), "refused": None}
    refused = {"set": None, "floor": None, "ceiling": None, "refused": "needs 5 images a feature, got 40"}
    return {
        "schema": 1,
        "set": {"name": "s", "digest": digest, "images": 6, "classes": {"a": 3, "b": 3}, "origin": DREW,
                "method": "cvae"},
        "train": {"name": "wards", "digest": "77", "images": 900, "groups": 300, "patients_known": True},
        "holdout": {"name": "held", "digest": "78", "images": 200, "groups": 60, "patients_known": True},
        "verdict": verdict,
        "sentence": f"{verdict}: none of the 6 images is nearer to a training image than held-out images are.",
        "power": {"share_planted": 0.01, "power": estimate(0.96, 100, "run"),
                  "kinds": {"crop": estimate(0.9, 25, "run")}},
        "tests": {"copies": {"p": 0.4, "p_adjusted": 1.0, "set": {"flagged": 1}, "holdout": {"flagged": 1}}},
        "flagged": [{"image": "images/000003.png", "train_image": "Quixote_MRN4711.png", "score": 0.9,
                     "correlation": 0.99, "why": "copy"}],
        "metrics": {"own (internal)": {"kid": metric, "vendi": metric, "frechet": refused, "copies": metric}},
        "by_class": {"a": {"label_fidelity": estimate(0.75)}, "b": {"label_fidelity": estimate(0.25)}},
        "epsilon": None, "released": {"dropped": 2, "first": "COPIES FOUND"}, "versions": {}, "seconds": 1.0,
    }  # fmt: skip


def write_audit(folder: Path, **changes: Any) -> Path:
    """SET/audit/audit.json for the set in the folder, with parts of it changed."""
    file = folder / "audit" / "audit.json"
    file.parent.mkdir(exist_ok=True)
    facts = audit_facts(load(folder).digest, verdict=changes.pop("verdict", "NO EVIDENCE OF COPYING"))
    file.write_text(json.dumps(facts | changes))
    return file


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Six synthetic images of two classes."""
    folder = tmp_path / "s"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(5)
    lines = ["image,label,patient,origin"]
    for i in range(6):
        name = f"images/{i:06d}.png"
        png.write(rng.integers(0, 255, (16, 16), dtype=np.uint8, endpoint=True), folder / name)
        lines.append(f"{name},{'ab'[i % 2]},synthetic:{name},{DREW}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder
