"""Settings: defaults, then a file, then --set, then flags; whatever is wrong is one clear line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from augury.app.config import configure
from augury.app.options import Layout
from augury.app.study import question
from augury.data.layouts import LAYOUTS
from augury.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 8
    rate: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class Outer:
    latent: int = 64
    name: str = "a"
    betas: tuple[float, float] = (0.0, 0.9)
    inner: Inner = field(default_factory=lambda: Inner(width=16))
    preset: Inner | str = "standard"
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.latent % 2:
            raise ValueError(f"latent is {self.latent}, expected an even number")


def test_defaults_stand_where_nothing_is_said() -> None:
    assert configure(Outer) == Outer()


def test_a_nested_setting_keeps_its_neighbours() -> None:
    got = configure(Outer, ["inner.rate=3e-4"])
    assert got.inner == Inner(width=16, rate=3e-4)


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("latent: 128\nname: file\ninner: {width: 4}\n")
    got = configure(Outer, ["name=set", "inner.rate=0.5"], file=file, values={"latent": 256})
    assert (got.latent, got.name, got.inner) == (256, "set", Inner(width=4, rate=0.5))


def test_values_are_read_as_yaml() -> None:
    got = configure(Outer, ["betas=[0.5, 0.99]", "limit=null", "preset.width=2", "name=x=y"])
    assert (got.betas, got.limit, got.preset, got.name) == ((0.5, 0.99), None, Inner(width=2), "x=y")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["latnt=3"], "did you mean latent"),
        (["inner.widht=3"], "did you mean inner.width"),
        (["zzz=3"], "its fields are: latent, name"),
        (["latent=lots"], "latent got 'lots'"),
        (["latent=7"], "expected an even number"),
        (["inner.rate=[1]"], "inner.rate got [1]"),
        (["latent"], "expected NAME=VALUE"),
        (["latent=[1"], "not a YAML value"),
        ([".=1"], "expected NAME=VALUE"),
    ],
)
def test_a_wrong_setting_is_one_line(settings: list[str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        configure(Outer, settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"- 1\n- 2\n", b"a: [1\n", b"\xff\xfe", b"1: 2\n"])
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        configure(Outer, file=file)
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.yaml"):
        configure(Outer, file=tmp_path / "nothing.yaml")


def test_a_study_takes_own_fields_and_overrides(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("preset: quick\nseed: 4\nclassifier: {width: 24}\n")
    flags = {"data": "phantom:brain", "out": tmp_path, "seed": 5, "arms": None, "budget": None}
    got = question(flags, file=file, settings=["cvae.latent=32", "steps=30", "metric=accuracy"])
    assert (got.preset, got.seed, got.metric) == ("quick", 5, "accuracy")
    assert got.overrides == {"classifier.width": 24, "cvae.latent": 32, "steps": 30}


def test_the_help_names_every_layout() -> None:
    words = Layout.__metadata__[0].help.replace(",", " ").replace(";", " ").split()
    assert [word for word in words if word in LAYOUTS] == list(LAYOUTS)
