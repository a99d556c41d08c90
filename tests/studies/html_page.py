"""Reads a page as a strict reader would."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "img", "wbr", "rect", "line", "path", "polyline", "circle"}


class Page(HTMLParser):
    """A page's pictures and text, and a complaint where a tag is closed out of turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.pictures.append(dict(attrs))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def stands_alone(text: str) -> None:
    """Every link leads into the page, and nothing is loaded from elsewhere."""
    assert set(re.findall(r'href="#(\w+)"', text)) <= set(re.findall(r'id="(\w+)"', text))
    assert not re.search(r'(?:src|href)="(?!data:image/|#)', text)
    assert "url(" not in text
