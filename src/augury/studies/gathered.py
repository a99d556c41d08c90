"""What evidence is made of, once every step is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from augury.studies.arms import Arm
from augury.studies.graph import Graph
from augury.studies.predictions import Predictions
from augury.studies.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What every arm said of the test folds, what its fits reported, and its scores with their intervals."""

    table: Predictions
    arms: tuple[Arm, ...]
    fits: Mapping[str, list[dict[str, Any]]]
    scores: Mapping[str, dict[str, Any]]
    graph: Graph
    space: Workspace

    @property
    def test_to_train(self) -> float | None:
        """Test images per training image; None: the folds are such as judge() takes them for."""
        if not self.space.plan.task:
            return None
        return float(np.mean([len(part.test) / len(part.train) for part in self.graph.partitions]))
