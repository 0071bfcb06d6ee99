"""The emulator's settings in people's words, there and back."""

import json

import pytest

from engine import DIALS, EmulatorSettings, InputError, dial_text, emulator_command, emulator_patch
from engine.events import CallFault, EmulatorFaults

FAULTS = [dial.name for dial in DIALS if dial.fault]


def test_the_first_of_the_usual_values_is_the_default_and_all_of_them_can_be_typed():
    for dial in DIALS:
        assert dial_text(EmulatorSettings(), dial.name) == dial.usual[0]
        for text in dial.usual:
            emulator_patch([(dial.name, text)])
        for text in ("", "default"):
            patch = emulator_patch([(dial.name, text)])
            assert patch == ({"faults": {dial.name: None}} if dial.fault else {dial.name: None})


def test_what_each_means_stands_in_one_line_of_80_columns():
    for dial in DIALS:
        assert len(dial.help) <= 76, dial
        assert len(dial.title) <= 17 and len(dial.allowed) <= 30, dial


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("speed", "Instant", "instant"),
        ("speed", "20", 20),
        ("brain", "off", False),
        ("quota_minute", "2.5", 2.5),
        ("quota_minute", "off", 0.0),
        ("latency", "article", "article"),
        ("latency", " 800 ", 800),
        ("lost_lines", "5%", 0.05),
        ("lost_lines", "0.05", 0.05),
        ("all_failed", "yes", True),
        ("fail_batch", "429", "429"),
        ("clock_offset", "-3600", -3600),
        ("calls", "chat 429", [{"operation": "chat", "kind": "429"}]),
        ("calls", "chat 429 20% 3; * drop 0.5;",
         [{"operation": "chat", "kind": "429", "rate": 0.2, "times": 3}, {"operation": "*", "kind": "drop", "rate": 0.5}]),
    ],
)  # fmt: skip
def test_values_are_read(name, text, value):
    patch = emulator_patch([(name, text)])
    assert patch == ({"faults": {name: value}} if name in FAULTS else {name: value})
    json.dumps(patch, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("sped", "fast", ["'sped'", "speed, brain"]),
        ("speed", "faster", ["'faster'", "real, fast, instant"]),
        ("brain", "some", ["on or off"]),
        ("lost_lines", "nan", ["'nan'"]),
        ("latency", "inf", ["'inf'"]),
        ("calls", "chat", ["OPERATION KIND"]),
        ("calls", "chat 429 often", ["'often'", "20%"]),
        ("faults", "on", ["only off"]),
    ],
)
def test_what_cannot_be_read_is_named(name, text, words):
    with pytest.raises(InputError) as caught:
        emulator_patch([(name, text)])
    for word in words:
        assert word in str(caught.value)


def test_all_faults_are_put_out_before_others_are_set():
    patch = emulator_patch([("faults", "off"), ("lost_lines", "5%"), ("calls", "chat 429"), ("calls", "chat 500")])
    assert patch["faults"].pop("lost_lines") == 0.05
    assert [call["kind"] for call in patch["faults"].pop("calls")] == ["429", "500"]
    assert patch == {"faults": {name: None for name in FAULTS if name not in ("lost_lines", "calls")}}


def test_what_is_shown_can_be_typed_again():
    faults = EmulatorFaults(
        latency=0.0, calls=(CallFault("chat", "429", 0.015, 3), CallFault("*", "drop", 1.0, None)), lost_lines=0.333,
        all_failed=True, fail_batch="x", clock_offset=86400.0,
    )  # fmt: skip
    settings = EmulatorSettings(speed=2.5, brain=False, quota_minute=0.0, faults=faults)
    texts = {dial.name: dial_text(settings, dial.name) for dial in DIALS}
    assert texts["calls"] == "chat 429 1.5% 3; * drop"
    assert emulator_patch(texts.items()) == {
        "speed": 2.5, "brain": False, "quota_minute": 0,
        "faults": {
            "latency": 0, "lost_lines": 0.333, "all_failed": True, "empty_error_file": None, "fail_batch": "x",
            "skipped_images": None, "fail_training": None, "clock_offset": 86400,
            "calls": [{"operation": "chat", "kind": "429", "rate": 0.015, "times": 3}, {"operation": "*", "kind": "drop"}],
        },
    }  # fmt: skip


def test_the_command_line_of_a_stand_alone_emulator(tmp_path):
    plain = emulator_command(tmp_path)
    assert plain[1:4] == ["-P", "-m", "engine.emulator"]
    assert "--speed" not in plain and "--host" not in plain  # as its state has it
    full = emulator_command(
        tmp_path, host="0.0.0.0", port=8000, speed="20", brain=False, quota_minute=0.5,
        faults=("latency=article", "lost_lines=5%", "all_failed=on", "calls=chat 429 20%; * drop 1% 2"),
    )  # fmt: skip
    assert full[len(plain) :] == [
        "--host", "0.0.0.0", "--speed", "20", "--no-brain", "--quota-minute", "0.5",
        "--fault", 'latency="article"', "--fault", "lost_lines=0.05", "--fault", "all_failed=true",
        "--fault", "calls=chat 429 0.2", "--fault", "calls=* drop 0.01 2",
    ]  # fmt: skip
    for fault in ("lost_lines", "lost=1", "speed=fast", "lost_lines=many"):
        with pytest.raises(InputError):
            emulator_command(tmp_path, faults=(fault,))
