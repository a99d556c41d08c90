"""Paths that a set names, held inside its folder: neither `..` nor a symbolic link may lead out of it.

A set is often somebody else's: what it names must not pull other files of this machine into a store or an export.
"""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

from augury.errors import UserError

_LONG = 200  # letters of a name that a message quotes
LEADS_OUT = "is a symbolic link that leads out of the set's folder: copy the file there, or name the folder it lies in"


class Inside:
    """The folder of a set. `windows` counts the names whose backslashes were read as separators."""

    def __init__(self, root: Path) -> None:
        # Not resolve(): the folder itself may be reached by a link, and messages show it as the user wrote it.
        self.root = Path(os.path.abspath(root))  # noqa: PTH100
        self.windows = 0
        self._real = os.path.realpath(root)
        self._folders: dict[Path, bool] = {}

    def place(self, name: str, *, where: str) -> Path:
        """The path that `name` stands for, relative to the folder or absolute; UserError where it leaves the folder.

        `where` begins the message: the file and the line or entry that names it.
        """
        given = name
        if "\\" in name and not exists(self.root / name):
            name = name.replace("\\", "/")
            self.windows += 1
        odd = "\0" in name or bool(PureWindowsPath(given).drive) or not is_text(name)
        path = self.root if odd else Path(os.path.normpath(self.root / name))
        if path == self.root or not path.is_relative_to(self.root):
            raise UserError(
                f"{where}: the path {named(given)} leaves the folder; expected a path inside {str(self.root)!r}: move "
                "the images there"
            )
        return path

    def leads_out(self, path: Path) -> bool:
        """Whether a symbolic link on the way to `path`, or `path` itself, ends outside of the folder."""
        parent = path.parent
        if parent not in self._folders:
            self._folders[parent] = self._outside(parent)
        # Not Path.is_symlink(), which raises for a name that is too long.
        return self._folders[parent] or (os.path.islink(path) and self._outside(path))  # noqa: PTH114

    def notes(self) -> list[str]:
        """What was done to names."""
        return [f"{self.windows} paths have Windows separators, read as /"] if self.windows else []

    def _outside(self, path: Path) -> bool:
        real = os.path.realpath(path)
        return real != self._real and not real.startswith(self._real.rstrip(os.sep) + os.sep)


def named(value: object) -> str:
    """A name, or another value, as a message quotes it: a damaged or hostile file may hold one of any length.

    >>> named("a.png"), named(7), len(named("a" * 5000))
    ("'a.png'", '7', 203)
    """
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def exists(path: Path) -> bool:
    """Whether something is there; False for names that no file can have."""
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def is_text(name: str) -> bool:
    """Whether a name is Unicode; os.walk and JSON smuggle undecodable bytes in as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
