"""How large an image or a compressed file may be: damaged and malicious files ask for more memory than there is.

The limit is stated in every refusal and lifted on purpose only: by AUGURY_MAX_PIXELS, or by an argument in Python.
"""

from __future__ import annotations

import os

from augury.data.picture import UnreadableImage
from augury.errors import UserError

MAX_PIXELS = 100_000_000  # of one image, unless AUGURY_MAX_PIXELS says otherwise
MIN_SIDE = 8  # below it nothing can be seen, and such files are trackers or accidents
BYTES_A_PIXEL = 8  # what a compressed file may unfold to, for each pixel that one image may have
RATIO = 100  # ... or this many times its size: images of 8 bits and more rarely shrink to less than a twentieth
VARIABLE = "AUGURY_MAX_PIXELS"


def max_pixels() -> int:
    """The pixels that one image may have: $AUGURY_MAX_PIXELS, else 100 million. UserError where it is no number."""
    given = os.environ.get(VARIABLE)
    if not given:
        return MAX_PIXELS
    if not given.isascii() or not given.isdigit() or not 0 < int(given) < 10**15:
        raise UserError(f"{VARIABLE} is {given!r}; expected a number of pixels such as {MAX_PIXELS}: correct it")
    return int(given)


def check_size(height: int, width: int, *, limit: int | None = None) -> None:
    """UnreadableImage where an image shows nothing or has more than `limit` pixels (None: `max_pixels()`)."""
    most = max_pixels() if limit is None else limit
    if min(height, width) < MIN_SIDE:
        raise UnreadableImage(f"is only {width}x{height} pixels; expected at least {MIN_SIDE}x{MIN_SIDE}")
    if height * width > most:
        raise UnreadableImage(
            f"has {width}x{height} pixels; expected at most {most:,} in all: scale it down, or set {VARIABLE} if it is "
            "meant"
        )


def check_unfolded(size: int, *, compressed: int, limit: int | None = None) -> None:
    """UnreadableImage where `compressed` bytes (those of the file) say that they hold `size` bytes, far too many."""
    most = max_unfolded(compressed, limit=limit)
    if size > most:
        raise UnreadableImage(
            f"unfolds to {size:,} bytes or more; expected at most {most:,} for a file of its size: is it a "
            f"decompression bomb? Set {VARIABLE} (pixels, {BYTES_A_PIXEL} bytes each) if it is meant"
        )


def max_unfolded(compressed: int, *, limit: int | None = None) -> int:
    """Bytes that a compressed file of so many bytes may unfold to; `limit` is in pixels (None: the usual)."""
    return max(BYTES_A_PIXEL * (max_pixels() if limit is None else limit), RATIO * compressed)
