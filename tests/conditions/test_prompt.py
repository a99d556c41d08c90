"""Laws of prompts: words come out as they went in, and what a model was not told of is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augury.conditions.prompt import LONGEST, Vocabulary, prompt_of, words_of
from augury.data.sample import Sample
from augury.errors import UserError

PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # of a loaded machine


@PATIENT
@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_what_is_encoded_is_decoded(texts: list[str]) -> None:
    if not any(words_of(text) for text in texts):
        return
    vocabulary = Vocabulary.of(texts)
    text_BT = vocabulary.encode(texts)
    assert text_BT.shape[0] == len(texts)
    assert vocabulary.decode(text_BT) == [" ".join(words_of(text)) for text in texts]
    assert Vocabulary(words=vocabulary.words).encode(texts).equal(text_BT), "the words are all there is"


@PATIENT
@given(st.text(max_size=60))
def test_case_and_punctuation_say_nothing(text: str) -> None:
    assert words_of(text.casefold()) == words_of(text)
    assert words_of(f"({text})!, ") == words_of(text)


def test_words_as_stated() -> None:
    assert words_of("no_tumor") == words_of("No tumor.") == words_of("no-tumor") == ["no", "tumor"]
    assert words_of("T2-weighted, 1.5T; grade 3. 2.") == ["t2", "weighted", "1.5t", "grade", "3", "2"]
    assert words_of("Schädel, 頭部 CT") == ["schädel", "頭部", "ct"]


def test_zero_fills_up_and_is_no_word() -> None:
    text_BT = Vocabulary.of(["breast ultrasound malignant"]).encode(["ultrasound", "breast malignant", ""])
    assert text_BT.tolist() == [[3, 0], [1, 2], [0, 0]]


def test_unknown_words_are_named_with_near_ones() -> None:
    vocabulary = Vocabulary.of(["breast ultrasound, malignant", "benign"])
    with pytest.raises(UserError) as error:
        vocabulary.encode(["breast, malignent", "spleen benign"])
    for word in ("'malignent'", "'spleen'", "malignant"):
        assert word in str(error.value)
    assert "'breast'" not in str(error.value)
    assert "\n" not in str(error.value)


def test_no_words_and_prose_are_refused() -> None:
    with pytest.raises(UserError, match="expected 1 to"):
        Vocabulary.of(["", "..."])
    with pytest.raises(UserError, match="expected 1 to"):
        Vocabulary.of(f"word{i}" for i in range(5000))
    with pytest.raises(UserError, match="at most 64"):
        Vocabulary.of(["a"]).encode(["a " * (LONGEST + 1)])
    with pytest.raises(ValueError, match="single words"):
        Vocabulary(words=("two words",))


def test_a_prompt_says_everything_once() -> None:
    facts = {"row": "r", "id": "i", "patient": "p", "group": "g", "image": Path("x.png"), "label": 1}
    sample = Sample(**facts, modality="ultrasound", meta={"organ": "breast", "age": "57"}, text="Breast, malignant")  # type: ignore[arg-type]
    assert prompt_of(sample, ["benign", "malignant"]) == "ultrasound, breast, malignant"
    plain = Sample(**{**facts, "label": None})  # type: ignore[arg-type]
    assert prompt_of(plain, ["benign", "malignant"]) == ""
