"""The emulator finds the categories of a prompt wherever a model would."""

import json

import pytest

from engine.emulator.listing import categories

CATS = ("cat", "no cat")
HOSTILE = ("cat, tabby", 'the "other"', "two\nlines", "[brackets]", "it's", "{labels}", "a: b", "why?")


@pytest.mark.parametrize(
    "text",
    [
        "Classify the following input image into one of the following categories: [cat, no cat].",
        "Classify it: ['cat', \"no cat\"]",
        "It is one of [cat,\n no cat].",
        '["cat", "no cat"]',
        'One of [["cat", "no cat"]], please: [x, y].',
        "Which one is it?\ncat\nno cat",
        "Which one is it?\n\n- cat\n- no cat\n\nAnswer in a word.",
        "You sort pictures.\nThe classes:\n1. cat\n2. no cat\nAnswer with the class only.",
        "cat\nno cat",
        "Which of cat, no cat?",
        "Choose one of: cat, or no cat.",
        "Which one is it? cat, no cat",
        "What is this? One of cat or no cat. Say it in a word.",
        "These are the classes:\ncat, no cat\nSay nothing else, please.",
    ],
)
def test_a_list_is_found(text):
    assert categories((text,)) == CATS
    assert categories(("You look at pictures.", text)) == CATS
    assert categories((text, "Look at it well.")) == CATS


def test_labels_of_any_kind_come_back_from_json():
    text = f"Which of these? {json.dumps(HOSTILE, ensure_ascii=False)} Just one."
    assert categories((text,)) == HOSTILE
    many = tuple(f"{label} {n}" for n in range(250) for label in HOSTILE)
    assert categories((json.dumps(many),)) == many


@pytest.mark.parametrize("end", [", ", "\n"])
def test_two_thousand_are_found(end):
    many = tuple(f"kind {n}" for n in range(2000))
    assert categories((f"One of these:\n{end.join(many)}\nSay nothing else, please.",)) == many


@pytest.mark.parametrize(
    "text",
    [
        "",
        "What is in this picture?",
        "What is this? Be brief, please.",
        "You are a careful assistant.\nYou look at pictures and name what they show.",
        "Which breed of dog is it, and how sure are you that it is no other?",
        'Answer as {"label": "…"}, with nothing else in it.',
        "[1]",
        '["one"]',
    ],
)
def test_where_nothing_is_listed_nothing_is_found(text):
    assert categories((text,)) == ()


@pytest.mark.parametrize("text", ['["', "[", ": , ", "a\n", "one of "])
def test_hostile_texts_take_no_time(text):
    assert categories((text * 30_000 + "?",)) == ()
