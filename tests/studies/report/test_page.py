"""What the page must say, must never do, and must survive."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from augury.errors import UserError
from augury.studies.report import build
from augury.studies.report.charts import difference_axis, learning_curve, nice_axis, strip

Results = dict[str, Any]
Study = Callable[..., Path]
OPTIONAL = (
    *("data", "question", "preset", "headline", "primary", "arms", "contrasts", "gate", "leaks", "learning_curve"),
    *("worth_patients", "generators", "table", "compute", "limits", "dropped", "plan_hash", "cross_checks"),
)
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}\n" + "läsion" * 30
VOID = {"meta", "img", "wbr", "rect", "line", "path", "polyline", "circle"}


class Page(HTMLParser):
    """A page's elements, its text, and a complaint where a tag is closed out of turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(folder: Path) -> Page:
    return Page(build(folder).read_text(encoding="utf-8"))


def test_says_everything(study: Study, results: Results) -> None:
    text = re.sub(r"\s+", " ", page(study(results)).text)
    for said in (
        results["headline"]["sentence"], "HELPS", "+0.018", "+0.009 to +0.027", "±0.020", "duplicated:1",
        "is worth about 84 more patients", "is worth about 31 fewer patients", "about 410 patients would decide",
        "No leak between training and test", "251", "300 groups of duplicates", "0.0610 (0.0570 to 0.0650)", "fit",
        "Ratio 2 was dropped.", "4 h 08 min", "small lesions may vanish", "4b1e77c09a3d52f6", "9f3c51d2ab40e817",
        "Its gain on the validation folds", "Nadeau and Bengio", "torch 2.15.0", "not a medical device",
        "This page holds real images",
    ):  # fmt: skip
        assert said in text, said
    assert "secret-host" not in text


def test_loads_nothing_from_elsewhere(study: Study, results: Results) -> None:
    folder = study(results)
    html = build(folder).read_text()
    found = Page(html)
    pointers = [
        v for _, a in found.elements for k, v in a.items() if k in ("src", "href", "xlink:href", "srcset") and v
    ]
    assert pointers
    assert all(p.startswith(("#", "data:image/png;base64,")) for p in pointers)
    assert not re.search(r"url\(|@import|<script|<link|<iframe|http://|https://| on\w+=", html)
    policy = next(a["content"] for a in found.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_is_accessible(study: Study, results: Results) -> None:
    found = page(study(results))
    assert found.of("html")[0]["lang"] == "en"
    assert all(image.get("alt") for image in found.of("img"))
    assert all(cell.get("scope") for cell in found.of("th"))
    assert all(svg.get("aria-label") for svg in found.of("svg") if svg.get("role") == "img")
    assert len(found.of("h1")) == 1
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h\d", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = [a["id"] for _, a in found.elements if a.get("id")]
    assert len(ids) == len(set(ids))
    assert {str(a["href"])[1:] for a in found.of("a")} <= set(ids)


def test_train_rows_are_marked_fit(study: Study, results: Results) -> None:
    html = build(study(results)).read_text()
    rows = re.findall(r"<td>(train|test)( <b class=\"fit\">fit</b>)?</td>", html)
    assert len(rows) == len(results["table"])
    assert all((kind == "train") == bool(mark) for kind, mark in rows)


@pytest.mark.parametrize("missing", OPTIONAL)
def test_any_key_may_be_missing(study: Study, results: Results, missing: str) -> None:
    del results[missing]
    assert page(study(results, gallery=False)).of("h1")


@pytest.mark.parametrize("kept", OPTIONAL)
def test_any_key_alone_is_enough(study: Study, results: Results, kept: str) -> None:
    assert page(study({kept: results[kept]}, gallery=False)).of("h1")


@pytest.mark.parametrize("value", [None, [], {}, "x", 3, [None], {"a": None}, {"a": {"b": []}}])
@pytest.mark.parametrize("key", OPTIONAL)
def test_any_key_may_hold_nonsense(study: Study, results: Results, key: str, value: Any) -> None:
    assert page(study(results | {key: value}, gallery=False)).of("h1")


def test_nothing_at_all(study: Study) -> None:
    text = page(study({}, gallery=False)).text
    assert "No contrast was judged." in text
    assert "Not recorded" in text
    assert "No leak" not in text


def test_names_are_escaped(study: Study, results: Results) -> None:
    renamed = json.loads(json.dumps(results).replace("sequential:wgan_gp:1", "@").replace("glioma", "@"))
    text = json.dumps(renamed | {"question": "@", "plan_hash": "@"}).replace("@", json.dumps(HOSTILE)[1:-1])
    html = build(study(json.loads(text), gallery=False)).read_text()
    Page(html)
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "{{ 7*7 }}" in html


def test_a_leak_is_shouted(study: Study, results: Results) -> None:
    results["leaks"]["duplicates_shared"] = 3
    text = page(study(results)).text
    assert "LEAK: do not use these figures" in text
    assert "No leak between" not in text


def test_the_given_split_is_not_accused_wrongly(study: Study, results: Results) -> None:
    assert "it would have leaked" in page(study(results)).text
    results["leaks"]["given_split"]["test<-train"] = {"exact": 0, "near": 0, "patients": 0}
    assert "though it does not leak" in page(study(results)).text


def test_quick_only_leans(study: Study, results: Results) -> None:
    results["preset"], results["data"]["patients"] = "quick", None
    row = {"difference": {"value": 0.01, "low": None, "high": float("nan")}, "verdict": "INCONCLUSIVE", "leaning": "up"}
    results |= {"contrasts": {"mixed:cgan:1": row}, "headline": {}, "primary": {"contrast": "mixed:cgan:1"}}
    text = page(study(results)).text
    for said in ("This study cannot tell whether mixed:cgan:1", "leaning up", "One split shows only", "no interval",
                 "every image was taken for a patient of its own"):  # fmt: skip
        assert said in text, said
    assert "worth about 84 more images" in text


def test_without_generators(study: Study, results: Results) -> None:
    text = page(study(results | {"generators": {}}, gallery=False)).text
    assert "Nearest training neighbours" not in text
    assert "Real beside synthetic" not in text


def test_pictures_stay_in_the_gallery(study: Study, results: Results) -> None:
    folder = study(results)
    (folder / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 40)
    (folder / "gallery" / "text.png").write_text("no picture")
    images = ["../secret.png", "/etc/hostname", "text.png", "absent.png", None, "real_glioma_0.png"]
    (folder / "gallery" / "gallery.json").write_text(
        json.dumps({"grids": [{"title": "real", "class": "c", "images": images}]})
    )
    assert len(page(folder).of("img")) == 1


def test_same_study_same_bytes(study: Study, results: Results) -> None:
    folder = study(results)
    assert build(folder).read_bytes() == build(folder).read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "holds no results.json"), ("{", "cannot be read"), ("[]", "a list"), ('{"schema": 2}', "schema 2")],
)
def test_unreadable_results(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        build(tmp_path)
    assert "\n" not in str(caught.value)


def test_axis_holds_zero_the_band_and_the_primary_contrast() -> None:
    rows = [[{"value": 0.3, "low": 0.1, "high": 0.5}], [{"value": 0.01}], [{"value": -0.02}]]
    axis = difference_axis(rows, d0=0.05)
    assert axis.low < -0.05 < 0.05 < 0.5 < axis.high
    assert not axis.leaves(rows[0])


def test_one_bad_arm_does_not_squeeze_the_others() -> None:
    near = [[{"value": 0.01, "low": 0.0, "high": 0.02}]] * 3
    axis = difference_axis([*near, [{"value": -0.9, "low": -0.95, "high": -0.85}]], d0=0.02)
    assert axis.low > -0.2
    svg = strip(axis, {"value": -0.9, "low": -0.95, "high": -0.85}, None, d0=0.02, label="bad")
    assert "<rect x=" not in svg, "a square off the axis would lie"
    assert "−0.900 (−0.950 to −0.850)" in svg


def test_larger_values_lie_further_right_and_higher() -> None:
    axis = nice_axis(-1, 1)
    assert axis.percent(-0.5) < axis.percent(0) < axis.percent(0.7)
    points = [
        {"patients": n, "estimate": {"value": v, "low": v - 0.1, "high": v + 0.1}} for n, v in ((10, 0.5), (20, 0.7))
    ]
    (x0, y0), (x1, y1) = re.findall(
        r'cx="([\d.]+)" cy="([\d.]+)"', learning_curve(points, metric="dice", noun="patients")
    )
    assert float(x0) < float(x1)
    assert float(y0) > float(y1)


@pytest.mark.parametrize(("worth", "drawn"), [(12, True), (-3, False), (0, False), (500, False), (None, False)])
def test_the_curve_is_not_read_past_twice_the_set(worth: float | None, drawn: bool) -> None:
    points = [{"patients": n, "estimate": {"value": v}} for n, v in ((10, 0.5), (20, 0.7))]
    svg = learning_curve(points, metric="dice", noun="patients", value=0.74, worth=worth)
    assert ("level" in svg) is drawn
