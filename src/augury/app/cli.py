"""`augury`: the shell command. It holds no logic: it reads options, calls one function and says what came out.

Exit status: 0 done; 2 the user's mistake, one line; 1 our mistake, a traceback; 130 interrupted, with the command that
goes on.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import typer

from augury.app import audit, look, make, share, study
from augury.app.progress import printable
from augury.errors import UserError

# What a system call says when the user's disk or path is at fault, wherever it was met.
_THEIRS = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR,
    errno.EISDIR,
}  # fmt: skip
_USAGE = typer.BadParameter.__mro__[2]  # ClickException: of the package click, or of typer's own copy of it

app = typer.Typer(
    name="augury",
    help="Does synthetic data, pretraining or zooming help on these medical images, and by how much?",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich's markup would triple the time of --help
)
COMMANDS: dict[str, Callable[..., None]] = {
    "check": look.check,
    "study": study.study,
    "fit": make.fit,
    "sample": make.sample,
    "predict": make.predict,
    "audit": audit.audit,
    "export": share.export,
    "report": look.report,
    "phantom": make.phantom,
    "doctor": look.doctor,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `argv` without the program's name, None: that of this process."""
    given = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    # Threads that wait by spinning make everything 3 times slower where other work is on the machine (docs/log.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _interrupts() as interrupted:
        try:
            return _run(given)
        except UserError as error:
            return _say(2, str(error))
        except _USAGE as error:  # type: ignore[misc]
            return _say(2, _usage(error, given))
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what reads us has gone: no second error
            return 0
        except KeyboardInterrupt:
            return _say(130, _resume(given))
        except Exception as error:
            # A library may turn the interrupt into an error of its own, above all in the midst of an import.
            return _say(130, _resume(given)) if interrupted else _unexpected(error)


def _run(given: list[str]) -> int:
    program = typer.main.get_command(app)
    try:
        with program.make_context("augury", given) as context:
            program.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    return 0


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Note that Ctrl-C was pressed, besides raising KeyboardInterrupt as ever."""
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: whoever owns the process owns its signals
        yield seen
        return
    try:
        with _never_swallowed():
            yield seen
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _never_swallowed() -> Iterator[None]:
    """An interrupt that struck where Python ignores exceptions (a finaliser, a lock's callback) strikes again."""
    before, again = sys.unraisablehook, threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    again.daemon = True

    def hook(ignored: sys.UnraisableHookArgs) -> None:
        if ignored.exc_type is not KeyboardInterrupt:
            before(ignored)
        elif again.ident is None:
            again.start()

    sys.unraisablehook = hook
    try:
        yield
    finally:
        again.cancel()
        sys.unraisablehook = before


def _say(status: int, text: str) -> int:
    print(printable(f"augury: {one_line(text)}", sys.stderr), file=sys.stderr, flush=True)
    return status


def one_line(text: str) -> str:
    r"""The text on one line, control characters written out.

    >>> one_line("a file\nname")
    'a file\\nname'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.strip())


def _usage(error: Exception, given: Sequence[str]) -> str:
    message = getattr(error, "format_message", lambda: str(error))()
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "augury"
    return f"{message.rstrip('.')}; got: augury {shlex.join(given)}; see {where} --help"


def _resume(given: Sequence[str]) -> str:
    return f"interrupted; what was finished is kept; to go on: augury {shlex.join(given)}"


def _unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in _THEIRS:
        return _say(2, f"{error.strerror}: {error.filename or 'the output'}; free it or name another place")
    if "No space left on device" in str(error):  # torch and safetensors give no error number
        return _say(2, f"the disk is full ({error}); free some space or name another folder")
    traceback.print_exception(error)
    return _say(1, "a mistake of ours, not yours; please report the lines above in the project's issue tracker")


if __name__ == "__main__":
    sys.exit(main())
