"""Reading answers: every rule by examples, and on whatever a model may write."""

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.evaluation.reading import MAX_LENGTH, STRICT, Reader, Rule, read
from engine.evaluation.synonyms import load_synonyms
from tests.properties import quick

LABELS = ["Pug", "Silky Terrier", "Saint Bernard", "Old English Sheepdog", "English Sheepdog", "Brabançon Griffon"]
SYNONYMS = {"Saint Bernard": ["St. Bernard", "Alpine Mastiff"], "Silky": ["Silky Terrier", "Sydney Silky"]}

EXAMPLES = [
    (None, None, Rule.EMPTY),
    (" \n", None, Rule.EMPTY),
    ("Pug" * 5000, None, Rule.EMPTY),
    ('{"label": "Pug"}', "Pug", Rule.AS_JSON),
    ('\n{ "label":\t"Saint Bernard" }', "Saint Bernard", Rule.AS_JSON),
    ("Pug", "Pug", Rule.AS_TEXT),
    (" Silky Terrier\n", "Silky Terrier", Rule.AS_TEXT),
    ("Pug (0.9876)", "Pug", Rule.PROBABILITY),
    ("Silky Terrier (1.0000)", "Silky Terrier", Rule.PROBABILITY),
    ("{", None, Rule.CUT_OFF),
    ('{"label": "Pug', None, Rule.CUT_OFF),
    ('```json\n{"label": "Saint Bern', None, Rule.NO_LABEL),
    ('```json\n{"label": "Pug"}\n```', "Pug", Rule.WRAPPED),
    ("```\nPug\n```", "Pug", Rule.WRAPPED),
    ("```Pug```", "Pug", Rule.WRAPPED),
    ('"Pug"', "Pug", Rule.WRAPPED),
    ("‘Pug’", "Pug", Rule.WRAPPED),
    ('{"breed": "Pug"}', "Pug", Rule.WRAPPED),
    ('{"label": "Pug", "confidence": 0.9}', "Pug", Rule.WRAPPED),
    ('{"label": "Pug", "why": "It is not a Saint Bernard"}', "Pug", Rule.WRAPPED),
    ('{"answer": {"labels": ["Pug"]}}', "Pug", Rule.WRAPPED),
    ('{"label": "Pug", "label": "Pug"}', "Pug", Rule.WRAPPED),
    ("pug.", "Pug", Rule.SPELLING),
    ("saint-bernard", "Saint Bernard", Rule.SPELLING),
    ("SAINTBERNARD!", "Saint Bernard", Rule.SPELLING),
    ("Brabancon  griffon", "Brabançon Griffon", Rule.SPELLING),
    ('{"label": "silky terrier"}', "Silky Terrier", Rule.SPELLING),
    ("St. Bernard", "Saint Bernard", Rule.SYNONYM),
    ("sydney-silky", "Silky Terrier", Rule.SYNONYM),
    ("silky", "Silky Terrier", Rule.SYNONYM),
    ('{"label": "Alpine Mastiff"}', "Saint Bernard", Rule.SYNONYM),
    ("This is not a Pug.", None, Rule.REFUSAL),
    ("It isn't a Pug", None, Rule.REFUSAL),
    ("I don’t know, perhaps a Pug", None, Rule.REFUSAL),
    ("I'm sorry, I cannot help with that.", None, Rule.REFUSAL),
    ("A Pug rather than a Saint Bernard", None, Rule.REFUSAL),
    ("Not a Saint Bernard but a Pug", None, Rule.REFUSAL),
    ("It is a Pug", "Pug", Rule.SENTENCE),
    ("The dog in this picture is most likely a **silky terrier**!", "Silky Terrier", Rule.SENTENCE),
    ("A pug, yes, a Pug.", "Pug", Rule.SENTENCE),
    ("Clearly an Old English Sheepdog.", "Old English Sheepdog", Rule.SENTENCE),
    ("Perhaps an English Sheepdog.", "English Sheepdog", Rule.SENTENCE),
    ("I see an alpine mastiff", "Saint Bernard", Rule.SENTENCE),
    ('Sure: {"label": "Pug"}', "Pug", Rule.SENTENCE),
    ("{'label': 'Pug'}", "Pug", Rule.SENTENCE),
    ("It could be a Pug or a Saint Bernard", None, Rule.SEVERAL),
    ("An Old English Sheepdog, or an English Sheepdog", None, Rule.SEVERAL),
    ('{"label": "Pug", "other": "Saint Bernard"}', None, Rule.SEVERAL),
    ('{"label": "Pug", "label": "Saint Bernard"}', None, Rule.SEVERAL),
    ("Pugs", None, Rule.NO_LABEL),
    ("a cat", None, Rule.NO_LABEL),
    ('{"label": 3}', None, Rule.NO_LABEL),
    ('{"label": null}', None, Rule.NO_LABEL),
    ("[]", None, Rule.NO_LABEL),
    ("?!", None, Rule.NO_LABEL),
]


@pytest.mark.parametrize(("raw", "label", "rule"), EXAMPLES)
def test_answers_are_read_by_the_listed_rules(raw, label, rule):
    found = read(raw, LABELS, SYNONYMS)
    assert (found.label, found.rule) == (label, rule)
    assert found.strict_label == (label if rule in STRICT else None)
    assert found.lenient == (label is not None and rule not in STRICT)


def test_every_rule_has_a_sentence_and_an_example():
    assert {rule for _, _, rule in EXAMPLES} == set(Rule)
    assert all(rule.sentence.endswith(".") for rule in Rule)
    assert list(Rule)[:3] == [Rule.EMPTY, Rule.AS_JSON, Rule.AS_TEXT]


def test_strict_is_what_was_asked_for():
    assert read('{"label": "Pug"}', LABELS, asked="json").strict_label == "Pug"
    assert read('{"label": "Pug"}', LABELS, asked="text").strict_label is None
    assert read("Pug", LABELS, asked="json").strict_label is None
    assert read("Pug", LABELS, asked="text").strict_label == "Pug"
    assert read("Pug", LABELS, asked="class").strict_label == "Pug"
    assert read("Pug", LABELS, asked="json").label == "Pug"
    assert read('{"bird: x": "Pug"}', LABELS, asked="json:bird: x").strict_label == "Pug"
    assert read('{"bird": "Pug"}', LABELS, asked="json").strict_label is None
    assert read('{"label": "Pug"}', LABELS, asked="json:bird").strict_label is None
    assert read("Pug", LABELS, asked="json:bird").strict_label is None


def test_labels_that_look_alike_are_told_apart_by_their_spelling_or_not_at_all():
    labels = ["resume", "résumé", "A", "a", "No Entry", "No", "+", "7"]
    assert read("Resume", labels).label == "resume"
    assert read("RÉSUMÉ", labels).label == "résumé"
    assert read("a", labels).label == "a"
    assert read("A.", labels).label is None
    assert read("It is a mess", labels).label is None
    assert read("The sign says: no entry", labels).label == "No Entry"
    assert read("no", labels).label == "No"
    assert read("No, it is something else", labels).label is None
    assert read("+", labels).label == "+"
    assert read('{"label": 7}', labels).label == "7"
    assert read("The digit is 7.", labels).label == "7"


def test_a_name_that_leads_to_two_labels_leads_nowhere():
    reader = Reader(["Alsatian", "German Shepherd"], {"German Shepherd": ["Alsatian", "GSD"]})
    assert reader.read("Alsatian").label == "Alsatian"
    assert reader.read("german shepherd").label == "German Shepherd"
    assert reader.read("GSD").label is None


def _as_it_was(raw, labels):
    """The reading before there were rules: whatever it read must be read the same."""
    if not raw or len(raw) > MAX_LENGTH:
        return None
    text = raw.strip()
    fenced = re.match(r"\A```[a-zA-Z]*\s*(.*?)\s*```\Z", text, re.DOTALL)
    text = fenced[1] if fenced else text
    if text.startswith("{"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        strings = [v for v in value.values() if isinstance(v, str)]
        if len(strings) != 1:
            return None
        text = strings[0]
    elif text.startswith('"'):
        text = text.strip('"')
    if text in labels:
        return text

    def plain(value):
        return re.sub(r"[\W_]+", " ", value.casefold()).strip()

    return {plain(label): label for label in labels}.get(plain(text)) if plain(text) else None


PIECES = [*LABELS, *(label.upper() for label in LABELS), "a", "not", "or", "{", "}", '"label"', ":", '"', "```", "json"]
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from([*PIECES, " ", "\n", ".", "St. Bernard", "\x00", "\ud800", "０"]), max_size=9).map(
        "".join
    ),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(PIECES)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["label", "x", "y"]), inner),
        max_leaves=6,
    ).map(json.dumps),
)


@quick
@given(TEXTS)
def test_whatever_is_written_is_read_to_a_label_or_none(raw):
    found = read(raw, LABELS, SYNONYMS)
    assert found.label in (None, *LABELS)
    assert found.strict_label in (None, found.label)
    assert (found.label is None) == (
        found.rule in {Rule.EMPTY, Rule.CUT_OFF, Rule.REFUSAL, Rule.SEVERAL, Rule.NO_LABEL}
    )
    assert found.strict_label is None or found.rule in STRICT
    assert read(raw, LABELS[::-1], SYNONYMS) == found  # the order of labels says nothing
    before = _as_it_was(raw, LABELS)
    assert before is None or found.label in (before, None if found.rule == Rule.SEVERAL else before)


@quick
@given(
    st.lists(
        st.text(st.characters(categories=("L",), max_codepoint=0x24F), min_size=3, max_size=9), unique_by=str.casefold
    ),
    st.data(),
)
def test_a_label_is_read_in_every_dress(words, data):
    labels = [word for word in words if read(word.upper(), words).label == word]
    if not labels:
        return
    label = data.draw(st.sampled_from(labels))
    for dress in (
        "{}",
        "{}.",
        '"{}"',
        "```\n{}\n```",
        '{{"label": "{}"}}',
        '```json\n{{"label": "{}"}}\n```',
        " {} \n",
    ):
        assert read(dress.format(label), words).label == label


@pytest.mark.parametrize(
    "raw",
    [
        "```" + "\n" * 9_000 + "x",
        "```" + " \n" * 4_000 + "```",
        '{"a":' * 1_900,
        "[" * 9_999,
        "[1," * 1_600 + "1" + "]" * 1_600,
        "Old English " * 800,
        "Pug Saint Bernard " * 500,
        " (0.1" * 1_999,
        "\ufdfa" * 9_999,
        '"' * 9_999,
        '{"label": ' + "9" * 9_000 + "}",
    ],
    ids=range(11),
)
def test_hostile_answers_take_no_time(raw):
    started = time.process_time()
    assert read(raw, LABELS, SYNONYMS).label is None
    assert time.process_time() - started < 2


def test_the_shipped_synonyms_lead_to_the_articles_labels():
    synonyms = load_synonyms()
    assert read("Bullmastiff", ["Bull Mastiff"], synonyms).label == "Bull Mastiff"
    assert read("Boston Terrier", ["Boston Bull", "Toy Terrier"], synonyms).label == "Boston Bull"
    # The table's own spelling may be the other name: of a dataset that says so, its label is what counts.
    assert read("Pembroke", ["Pembroke Welsh Corgi"], synonyms).label == "Pembroke Welsh Corgi"


def test_the_users_synonyms_lie_over_the_shipped(tmp_path):
    path = tmp_path / "synonyms.toml"
    assert load_synonyms(path) == load_synonyms()
    path.write_text('"Cairn" = []\n"Basset" = ["Hush Puppy"]\n"Westie" = ["West Highland White Terrier"]\n')
    found = load_synonyms(path)
    assert "Cairn" not in found
    assert found["Basset"] == ("Hush Puppy",)
    assert found["Westie"] == ("West Highland White Terrier",)
    assert "West Highland White Terrier" not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('# mine\n"Pug" = ["Boxer"]\n', r"synonyms\.toml, line 2: 'Boxer', a name of 'Pug', is a label itself"),
        ('"Pug" = ["Mops"]\n"Chow" = ["mops"]\n', r"line 2: 'mops', a name of 'Chow', is a name of 'Pug' already"),
        ('"Pug" = ["Chow"]\n"Chow" = []\n', r"line 1: 'Chow', a name of 'Pug', is a label itself"),
        ('Pug = "Mops"\n', r"line 1: 'Pug' is not a list of names"),
        ('Pug = ["!"]\n', r"line 1: 'Pug' is not a list of names"),
        ("Pug = [\n", r"synonyms\.toml: .*line"),
        ("[Pug]\n", r"line 1: 'Pug' is not a list"),
        ("\xff", r"synonyms\.toml, line 1: "),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path, text, message):
    path = tmp_path / "synonyms.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        load_synonyms(path, ["Pug", "Boxer"])
