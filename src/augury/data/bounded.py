"""A file that never hands out more than it holds: decoders ask for as many bytes as a damaged length says."""

from __future__ import annotations

import io
import os
from pathlib import Path

BUFFER = 1 << 18  # bytes: most files then cost one read


class Bounded(io.BufferedReader):
    """As `path.open("rb")`, but a read of 4 GB from a file of 300 bytes allocates 300 bytes, not 4 GB."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path), BUFFER)
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, and never more than are left."""
        if size is None or size < 0 or size <= BUFFER:
            return super().read(size)
        return super().read(min(size, max(0, self._size - self.tell())))
