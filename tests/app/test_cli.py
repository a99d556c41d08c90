"""The shell command: exit status, one line, where words go, how fast help is."""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from augury.app import cli, look
from augury.errors import Refused, UserError

COMMANDS = ("check", "study", "fit", "sample", "predict", "audit", "export", "report", "phantom", "doctor")


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """The exit status of a command that ends in this error."""

    def examine() -> None:
        raise error

    monkeypatch.setattr("augury.app.doctor.examine", examine)
    return cli.main(["doctor"])


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    assert f"augury {name}" in capsys.readouterr().out


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["paint"], "'paint'"),
        (["check"], "DATA"),
        (["study", "x"], "--out"),
        (["check", "x", "--loud"], "--loud"),
        (["sample", "m", "--out", "s", "-n", "many"], "many"),
        (["phantom", "brain", "--out", "s", "-n", "0"], "0"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_help(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("augury: ")
    assert words in err
    assert "--help" in err


def test_a_user_error_is_one_line_and_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, UserError("got 'a\nb', expected c; do d")) == 2
    assert capsys.readouterr().err == "augury: got 'a\\nb', expected c; do d\n"
    assert failing(monkeypatch, Refused("no")) == 2


def test_our_own_mistake_is_a_traceback_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, ZeroDivisionError("surprise")) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "ZeroDivisionError: surprise" in err
    assert "report" in err.splitlines()[-1]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device", "/x/y"),
        OSError(30, "Read-only file system", "/x/y"),
        RuntimeError("I/O error: No space left on device"),
    ],
)
def test_the_machines_refusals_are_the_users_to_mend(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, error) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_interrupt_names_the_command_that_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.splitlines()[-1].endswith("to go on: augury doctor")


def test_an_interrupt_that_a_library_turned_into_its_own_error_is_still_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def examine() -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            raise ImportError("numpy failed to load") from None

    monkeypatch.setattr("augury.app.doctor.examine", examine)
    before = signal.getsignal(signal.SIGINT)
    assert cli.main(["doctor"]) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert "Traceback" not in capsys.readouterr().err


def test_an_interrupt_that_python_ignored_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Deaf:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)  # the interrupt is raised here, where nobody can hear it

    def examine() -> None:
        Deaf()
        time.sleep(5)

    monkeypatch.setattr("augury.app.doctor.examine", examine)
    start = time.monotonic()
    assert cli.main(["doctor"]) == 130
    assert time.monotonic() - start < 4
    assert "Traceback" not in capsys.readouterr().err


def test_json_goes_to_standard_output_and_words_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert "cpu" in facts["devices"]
    assert facts["packages"]["torch"]
    assert "torch" in err


def test_quiet_leaves_the_result_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--quiet", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)
    assert err == ""


def test_the_words_of_doctor_are_complete(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    assert "devices" in capsys.readouterr().out


@pytest.fixture
def heavy() -> set[str]:
    return {"torch", "numpy", "pandas", "scipy", "sklearn", "PIL", "pydantic", "rich", "yaml", "timm"}


def test_help_loads_nothing_heavy(heavy: set[str]) -> None:
    code = "import sys; from augury.app.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert heavy.isdisjoint(name.split(".")[0] for name in done.stderr.split())


def test_help_costs_less_than_half_a_second() -> None:
    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)  # CPU time: other work on the machine does not count
        return used.ru_utime + used.ru_stime

    start = spent()
    code = "import sys; from augury.app.cli import main; sys.exit(main(['--help']))"
    subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert spent() - start < 0.5


def test_a_reader_that_stops_reading_is_no_error() -> None:
    code = "import sys; from augury.app.cli import main; sys.exit(main(['doctor', '--json', '--quiet']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.close()
        assert child.stderr is not None
        err = child.stderr.read()
        assert child.wait(timeout=60) == 0
    assert b"Traceback" not in err


def test_the_installed_command_is_this_main() -> None:
    module, _, name = "augury.app.cli:main".partition(":")
    assert getattr(importlib.import_module(module), name) is cli.main
    assert set(cli.COMMANDS) == set(COMMANDS)
    assert cli.COMMANDS["doctor"] is look.doctor
