"""A contact sheet of every kind of phantom: a row for each kind, classes in turn. Of phantoms only.

.venv/bin/python experiments/phantom_sheet.py docs/phantoms.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from augury.data.phantoms import PHANTOMS, render

COLUMNS, SIDE = 6, 128


def main(path: Path) -> None:
    """Draw the sheet: first images of patients; of `amd` a photograph and a B-scan of the same eye."""
    rows = []
    for population in PHANTOMS.values():
        config = population(size=SIDE)
        drawn = render(config, n=40 * config.images_per_patient, seed=11)
        first = np.unique(drawn.patient_N, return_index=True)[1]
        first = first[
            np.argsort(np.arange(len(first)) // len(drawn.classes) * 100 + drawn.truth_N[first], kind="stable")
        ]
        chosen = np.stack([first, first + 1], axis=1).ravel() if drawn.modalities else first
        tiles = [np.broadcast_to(drawn.image_NHWC[i], (SIDE, SIDE, 3)) for i in chosen[:COLUMNS]]
        rows.append(np.concatenate(tiles, axis=1))
    Image.fromarray(np.concatenate(rows)).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
