"""How far a command is: bars with rate and remaining time on a terminal, else a line every few seconds, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    import rich.progress

_EVERY = 5.0  # seconds between two lines where no bar can be drawn: a log file stays readable


@dataclass
class _Stage:
    name: str
    started: float
    first: int  # what was done already when the stage began: a resumed run must not count it into its rate
    printed: float


class Progress:
    """Stages by name, each `done` of `total`. A context manager, so that the terminal's cursor always comes back.

    Args:
        quiet: say nothing at all.
        stream: where to write; None means standard error.
        clock: seconds that only grow.
    """

    def __init__(
        self, *, quiet: bool = False, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quiet = quiet
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._stages: dict[str, _Stage] = {}
        self._bars: rich.progress.Progress | None = None
        self._tasks: dict[str, rich.progress.TaskID] = {}

    def __enter__(self) -> Self:
        if not self._quiet and self._stream.isatty():
            self._bars = _bars(self._stream)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def stage(self, name: str) -> Callable[[int, int], None]:
        """A callback `(done, total)` for the stage of that name."""
        return lambda done, total: self(name, done, total)

    def __call__(self, name: str, done: int, total: int) -> None:
        """Say that `done` of `total` of a stage are done."""
        if self._quiet:
            return
        if self._bars is not None:
            self._draw(name, done=done, total=total)
        else:
            self._print(name, done=done, total=total)

    def say(self, text: str) -> None:
        """A line of words, above the bars where there are any."""
        if self._quiet:
            return
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(printable(text, self._stream), file=self._stream, flush=True)

    def _draw(self, name: str, *, done: int, total: int) -> None:
        assert self._bars is not None
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, completed=done)
        self._bars.update(self._tasks[name], completed=done, total=total)

    def _print(self, name: str, *, done: int, total: int) -> None:
        now = self._clock()
        stage = self._stages.setdefault(name, _Stage(name=name, started=now, first=done, printed=now))
        last = done >= total and stage.printed > stage.started
        if now - stage.printed >= _EVERY or last:
            stage.printed = now
            self.say(_line(stage, done=done, total=total, now=now))


def _line(stage: _Stage, *, done: int, total: int, now: float) -> str:
    rate = (done - stage.first) / max(now - stage.started, 1e-9)
    if done >= total:
        return f"{stage.name}: {total} in {duration(now - stage.started)}"
    left = f", {duration((total - done) / rate)} left" if rate > 0 else ""
    return f"{stage.name}: {done} of {total}, {rate:.3g}/s{left}"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(7.2), duration(75), duration(3700)
    ('7 s', '1 min 15 s', '1 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def printable(text: str, stream: TextIO) -> str:
    """The text with what the stream cannot encode escaped: no file name may break a message."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _bars(stream: TextIO) -> rich.progress.Progress:
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.3g}/s")

    text = TextColumn("{task.description}", markup=False)
    columns = (text, BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"), Rate())
    return Bars(*columns, TimeRemainingColumn(elapsed_when_finished=True), console=Console(file=stream))
