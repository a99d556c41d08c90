"""Progress: a line now and then where there is no terminal, bars where there is one, nothing where it is unwanted."""

from __future__ import annotations

import io

from augury.app.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def watched(*, seconds: float, steps: int, quiet: bool = False, first: int = 0) -> str:
    stream, clock = io.StringIO(), Clock()
    with Progress(quiet=quiet, stream=stream, clock=clock) as progress:
        report = progress.stage("reading")
        for done in range(first, steps + 1):
            report(done, steps)
            clock.now += seconds / steps
    return stream.getvalue()


def test_short_work_says_nothing() -> None:
    assert watched(seconds=3, steps=100) == ""


def test_long_work_says_a_line_every_few_seconds_with_rate_and_remaining_time() -> None:
    lines = watched(seconds=60, steps=480).splitlines()
    assert 10 <= len(lines) <= 13
    assert lines[0] == "reading: 40 of 480, 8/s, 55 s left"
    assert lines[-1] == "reading: 480 in 1 min 0 s"


def test_what_was_done_before_does_not_count_into_the_rate() -> None:
    lines = watched(seconds=60, steps=480, first=240).splitlines()
    assert lines[0] == "reading: 280 of 480, 8/s, 25 s left"


def test_quiet_is_quiet() -> None:
    assert watched(seconds=60, steps=480, quiet=True) == ""


def test_a_terminal_gets_bars_and_keeps_words_literal() -> None:
    stream = Terminal()
    with Progress(stream=stream) as progress:
        progress("reading [bold]", 5, 10)
        progress.say("a [red]note")
    assert "reading [bold]" in stream.getvalue()
    assert "5 of 10" in stream.getvalue()
    assert "a [red]note" in stream.getvalue()


def test_a_stream_that_knows_only_ascii_survives_any_name() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Progress(stream=stream).say("Müller \udce9")
    assert raw.getvalue() == b"M\\xfcller \\udce9\n"
