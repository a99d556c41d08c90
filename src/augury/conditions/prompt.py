"""Prompts of a closed vocabulary: what a data set says of its images in words, as ids. B batch, T tokens, E features.

How text becomes words: letters are taken without case and in Unicode's compatibility form; everything but letters and
digits parts words and is dropped, so "no_tumor", "no-tumor" and "No, tumor" are the same two words; a point between
digits stays. A number is a word like any other ("t2", "3", "1.5t"): a model knows the numbers that it was told.

A frozen sentence encoder may stand in for a vocabulary where a generator takes its vectors: `SentenceEncoder`.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from augury.data.sample import Manifest, Sample
from augury.errors import UserError

SentenceEncoder = Callable[[Sequence[str]], Tensor]  # texts -> text_BTE float32 of frozen weights
LONGEST = 64  # words of one prompt
MOST = 4096  # words of a vocabulary: beyond, texts are prose and no closed vocabulary
NAMED = ("organ", "pathology")  # extra columns that say what a prompt says
_WORD = re.compile(r"[^\W_]+(?:(?<=\d)\.(?=\d)[^\W_]+)*")
_SHOWN = 8  # words in a message


def words_of(text: str) -> list[str]:
    """The words of a text in order.

    >>> words_of("Breast, Ultrasound: no_tumor; 1.5T, grade-3.")
    ['breast', 'ultrasound', 'no', 'tumor', '1.5t', 'grade', '3']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def prompt_of(sample: Sample, classes: Sequence[str], *, modality: str | None = None) -> str:
    """What is known of an image in words: modality, organ, pathology, label, text; what was said is not said again.

    `modality` is that of a sample which names none.
    """
    label = None if sample.label is None else classes[sample.label]
    said: list[str] = []
    for part in (sample.modality or modality, *(sample.meta.get(name) for name in NAMED), label, sample.text):
        if part and not set(words_of(part)) <= set(words_of(" ".join(said))):
            said.append(part.strip())
    return ", ".join(said)


def prompts_of(manifest: Manifest, *, modality: str | None = None) -> list[str]:
    """One prompt per sample."""
    return [prompt_of(sample, manifest.classes, modality=modality) for sample in manifest]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Words that a model knows; the first has id 1, and 0 fills up shorter prompts."""

    words: tuple[str, ...]
    ids: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", {word: place for place, word in enumerate(self.words, start=1)})
        odd = next((word for word in self.words if words_of(word) != [word]), None)
        if odd is not None or len(self.ids) < len(self.words):
            raise ValueError(f"got the word {odd!r}; expected single words in small letters, each once; see words_of")

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """All words of the texts in alphabetical order; UserError where there are none or too many."""
        words = sorted({word for text in texts for word in words_of(text)})
        if not 1 <= len(words) <= MOST:
            raise UserError(
                f"prompts got {len(words):,} different words; expected 1 to {MOST:,} from the modality, organ, "
                "pathology, label and text of the images; leave prompt out of --condition, or shorten the texts"
            )
        return cls(words=tuple(words))

    def encode(self, texts: Sequence[str]) -> Tensor:
        """text_BT, int64; T is the longest prompt's number of words, at least 1.

        Raises:
            UserError: words that are not in the vocabulary (named, with near ones), or more than 64 words.
        """
        words_B = [words_of(text) for text in texts]
        self._expect_known(words_B)
        longest = max((len(words) for words in words_B), default=1)
        if longest > LONGEST:
            raise UserError(f"a prompt got {longest} words; expected at most {LONGEST}; shorten it")
        text_BT = torch.zeros(len(texts), max(1, longest), dtype=torch.int64)
        for row, words in enumerate(words_B):
            text_BT[row, : len(words)] = torch.tensor([self.ids[word] for word in words], dtype=torch.int64)
        return text_BT

    def decode(self, text_BT: Tensor) -> list[str]:
        """The words of each row, joined by spaces."""
        return [" ".join(self.words[i - 1] for i in row if i > 0) for row in text_BT.tolist()]

    def _expect_known(self, words_B: Sequence[Sequence[str]]) -> None:
        unknown = list(dict.fromkeys(word for words in words_B for word in words if word not in self.ids))
        if not unknown:
            return
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        named = ", ".join(map(repr, unknown[:_SHOWN])) + more
        near = list(dict.fromkeys(n for word in unknown for n in difflib.get_close_matches(word, self.words, n=3)))
        shown = near[:_SHOWN] or self.words[:_SHOWN]
        what = "near ones" if near else f"{len(self.words)} words, among them"
        raise UserError(
            f"the prompt got {'words' if len(unknown) > 1 else 'a word'} that the model was not fitted with: {named}; "
            f"it knows {what} {', '.join(shown)}: use its words"
        )
