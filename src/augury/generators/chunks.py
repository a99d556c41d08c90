"""Many images through a network, a few hundred at a time."""

from __future__ import annotations

from collections.abc import Iterator

CHUNK = 256


def chunks(n: int) -> Iterator[slice]:
    """Slices that cover n items; one empty slice for none, so that an empty answer has its shape.

    >>> list(chunks(300))
    [slice(0, 256, None), slice(256, 300, None)]
    """
    return (slice(start, min(start + CHUNK, n)) for start in range(0, max(n, 1), CHUNK))
