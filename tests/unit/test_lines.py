"""Lines of request files: golden ones, the published schema, and labels that nobody would want."""

import itertools
import json
import re
from binascii import b2a_base64
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.lines import BatchLines, TrainingLines
from engine.datasets.prompt import Prompt
from engine.errors import InputError

TEXT = Prompt("Which of {labels}?", "text", "low")
JSON = replace(TEXT, answer="json")
HOSTILE = [
    'say "hi"',
    "back\\slash \\u0041 \\n",
    "line\nbreak\r\n\ttab",
    "🐕‍🦺 flag 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "עברית \u202eright to left",
    "\u2028\u2029\x85\x0b\x0c\x1c",
    "\x00image0\x00",
    "\x00id0\x00\x00image1\x00",
    "{labels}",
    "a, b], [c",
    "\x1b[31mred\x1b[0m",
    "",
    " spaces ",
    "x" * 5000,
]


def batch(prompt, labels, custom_id="test-000000-abc", model="m", mime="image/png", data=b"\x00\xff"):
    return b"".join(BatchLines(prompt, labels, model).parts(custom_id, mime, b2a_base64(data, newline=False)))


def example(prompt, labels, label, mime="image/png", data=b"\x00\xff"):
    return b"".join(TrainingLines(prompt, labels).parts(label, mime, b2a_base64(data, newline=False)))


def test_golden_lines():
    assert batch(JSON, ["a", "b"]).decode() == (
        '{"custom_id":"test-000000-abc","method":"POST","url":"/chat/completions","body":{"model":"m","messages":['
        '{"role":"system","content":"Which of a, b?"},{"role":"user","content":[{"type":"image_url","image_url":'
        '{"url":"data:image/png;base64,AP8=","detail":"low"}}]}],"response_format":{"type":"json_schema","json_schema":'
        '{"name":"classification","strict":true,"schema":{"type":"object","properties":{"label":{"type":"string"}},'
        '"required":["label"],"additionalProperties":false}}}}}\n'
    )
    assert example(TEXT, ["a", "b"], "b", "image/jpeg").decode() == (
        '{"messages":[{"role":"system","content":"Which of a, b?"},{"role":"user","content":[{"type":"image_url",'
        '"image_url":{"url":"data:image/jpeg;base64,AP8=","detail":"low"}}]},{"role":"assistant","content":"b"}]}\n'
    )


def test_a_template_has_a_user_text_and_another_key():
    prompt = Prompt("", "json", "high", "Which of:\n{labels}", "lines", "breed")
    found = json.loads(example(prompt, ["a", 'b "c"'], 'b "c"'))
    user, assistant = found["messages"]  # no system message where there is no text for one
    assert user["content"][0] == {"type": "text", "text": 'Which of:\na\nb "c"'}
    assert user["content"][1]["image_url"]["detail"] == "high"
    assert json.loads(assistant["content"]) == {"breed": 'b "c"'}
    body = json.loads(batch(prompt, ["a", "b"]))["body"]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["breed"]
    assert json.loads(batch(replace(prompt, labels_as="json"), HOSTILE))["body"]["messages"][0]["content"][0][
        "text"
    ].endswith(json.dumps(HOSTILE, ensure_ascii=False))


@pytest.mark.parametrize("prompt", [TEXT, JSON, replace(JSON, labels_as="json", user="And {labels}?")])
@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_labels_come_back_as_they_were(prompt, label):
    data = bytes(range(256))
    line = example(prompt, HOSTILE, label, data=data)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert len(line.decode().splitlines()) == 1  # for readers that split at every separator of Unicode
    found = json.loads(line)
    answer = found["messages"][-1]["content"]
    assert (json.loads(answer)["label"] if prompt.answer == "json" else answer) == label
    assert found == prompt.example(HOSTILE, label, "data:image/png;base64," + b2a_base64(data, newline=False).decode())


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_a_line_is_what_serialising_it_whole_would_give(labels, text):
    prompt = Prompt(text + "{labels}", "json", "low", text)
    url = "data:image/webp;base64,AP8="
    assert json.loads(batch(prompt, labels, text, text, "image/webp")) == {
        "custom_id": text,
        "method": "POST",
        "url": "/chat/completions",
        "body": prompt.request(text, labels, url),
    }
    assert json.loads(example(prompt, labels, labels[0], "image/webp")) == prompt.example(labels, labels[0], url)


def test_two_labels_or_two_thousand():
    for count in (2, 2000):
        labels = [f"class {number}" for number in range(count)]
        found = json.loads(batch(JSON, labels))
        assert found["body"]["messages"][0]["content"] == f"Which of {', '.join(labels)}?"


def test_what_is_no_unicode_is_refused():
    with pytest.raises(InputError, match="cannot be written as UTF-8"):
        batch(TEXT, ["a\udc80"])


def test_a_prompt_file_may_be_a_whole_template(tmp_path):
    path = tmp_path / "prompt.toml"
    path.write_text(
        'system = "You sort."\nuser = """\nOne of {labels}"""\nlabels = "json"\nanswer = "text"\nkey = "k"\n'
    )
    found = Prompt.from_file(path, "json", "high")
    assert found == Prompt("You sort.", "text", "high", "One of {labels}", "json", "k")
    assert Prompt.from_file(path, "json", "high", forced=True).answer == "json"
    text = tmp_path / "prompt.txt"
    text.write_text("One of {labels}\n")
    assert Prompt.from_file(text, "text", "low") == Prompt("One of {labels}", "text", "low")


def test_a_prompt_is_written_as_it_is_read(tmp_path):
    path = tmp_path / "prompt.toml"
    texts = ['Which of\n{labels}?\n\nAnswer "so", {not} so\\', "a\r\nb {labels}", '""" {labels} \'\'\' é 🐕 \x07"']
    for text, listed in itertools.product(texts, ("commas", "lines", "json")):
        for system, user in ((text, text), ("", text), (text, "")):
            prompt = Prompt(system, "json", "low", user, listed, 'k"')
            path.write_text(prompt.to_toml(with_answer=True), encoding="utf-8")
            assert Prompt.from_file(path, "text", "low") == prompt
            path.write_text(prompt.to_toml(), encoding="utf-8")
            assert Prompt.from_file(path, "text", "low") == replace(prompt, answer="text")  # each its own way


@pytest.mark.parametrize(
    ("listed", "label", "odd"),
    [
        ("commas", "cat, tabby", True), ("commas", 'the "other"', True), ("commas", "a\nb", True),
        ("commas", "St. Bernard's", False), ("lines", "cat, tabby", False), ("lines", "a\nb", True),
        ("json", 'cat, "tabby"\n', False),
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_read_back_is_told(listed, label, odd):
    prompt = Prompt("Which of {labels}?", "json", "low", labels_as=listed)
    assert prompt.caution(["dog", "bird"]) == ""
    told = prompt.caution(["dog", label])
    assert bool(told) == odd
    assert not odd or (told.startswith("1 label has") and repr(label) in told and 'labels = "json"' in told)


def test_a_prompt_goes_through_a_jobs_parameters():
    prompt = Prompt("You sort.", "text", "high", "One of {labels}", "json", "k")
    assert Prompt.of({"dataset": "x", **json.loads(json.dumps(prompt.parameters()))}) == prompt
    assert prompt.words == "You sort.\n\nOne of {labels}"
    old = {"prompt": "Which of {labels}?", "answer": "json", "detail": "low", "model": "m"}
    assert Prompt.of(old) == Prompt("Which of {labels}?", "json", "low")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('system = "x"', "never says {labels}"),
        ("system = 1", "'system' is no text"),
        ('sytem = "{labels}"', "'sytem' is no text that a prompt has"),
        ('system = "{labels}"\nlabels = "stars"', "labels = 'stars'"),
        ('system = "{labels}"\nanswer = "song"', "answer = 'song'"),
        ("system", "Correct it; it is TOML"),
        ('system = "{labels}"\nkey = ""', "the key of the answer is empty"),
    ],
)
def test_a_template_with_a_mistake_is_refused(tmp_path, text, says):
    path = tmp_path / "prompt.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(says)):
        Prompt.from_file(path, "json", "low")
