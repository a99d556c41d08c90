"""The README's picture: phantom slices, a row for each class; the lesion of every second one is outlined.

.venv/bin/python experiments/picture.py docs/phantom.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_dilation

from augury.data.phantoms import BrainConfig, render

COLUMNS = 10


def main(path: Path) -> None:
    """Draw the sheet."""
    drawn = render(BrainConfig(size=96), n=600, seed=11)
    sheet = []
    for label in range(len(drawn.classes)):
        _, first = np.unique(np.where(drawn.label_N == label, drawn.patient_N, -1), return_index=True)
        row = []
        for column, i in enumerate(first[1 : COLUMNS + 1]):
            tile = np.repeat(drawn.image_NHW[i][..., None], 3, axis=2)
            mask = drawn.mask_NHW[i]
            if column % 2:
                tile[binary_dilation(mask, iterations=2) & ~binary_dilation(mask)] = (255, 176, 0)
            row.append(tile)
        sheet.append(np.concatenate(row, axis=1))
    Image.fromarray(np.concatenate(sheet)).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
