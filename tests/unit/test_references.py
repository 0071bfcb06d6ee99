import pytest

from engine.evaluation.references import DatasetInfo, among, references

SAME_PHOTOGRAPHS = "e87e119fb6a823ba78dc63c9e429bdcfcb56b8b77615c329dbbaf16d8a78dfb0"


def test_the_articles_rows():
    zero, tuned, cnn = references(DatasetInfo("", 120, 4800, 600, 600))
    assert [f"{r.accuracy:.2%}" for r in (zero, tuned, cnn)] == ["73.67%", "82.67%", "61.67%"]
    assert [r.kind for r in (zero, tuned, cnn)] == ["zero-shot", "fine-tuned", "cnn"]
    assert (zero.low, zero.high) == (pytest.approx(0.7, abs=5e-4), pytest.approx(0.7703, abs=5e-4))
    assert list(tuned.latency_ms.values()) == [1506, 1505, 1707, 1819, 2303]
    assert (tuned.cost_usd["training"], tuned.hosting_hourly, tuned.train_seconds) == (157.44, 1.70, 5 * 3600 + 14 * 60)
    assert (cnn.latency_ms, cnn.cost_usd, cnn.train_seconds) == ({}, {}, None)
    assert "$0.45" in zero.notes[0]
    assert "2025-10" in zero.source


def test_other_data_does_not_compare_and_says_why():
    zero, _, cnn = references(DatasetInfo("0" * 64, 12, 96, 12, 12, {"zero-shot": "text"}))
    assert not zero.comparable
    assert zero.why_not == (
        "it tells 120 labels apart, yours 12",
        "its images are 4,800/600/600 (train/validation/test), yours 96/12/12",
        "nothing shows that your images and split are those it was measured on (Stanford Dogs)",
        "it was told to answer as json, yours as text",
    )
    assert "other images than the article's own other rows" in cnn.sentence
    assert zero.sentence.startswith("Published (")
    assert "442 of 600" in zero.sentence


def test_its_photographs_and_split_are_known_but_not_its_bytes():
    zero, tuned, cnn = references(DatasetInfo(SAME_PHOTOGRAPHS, 120, 4800, 600, 600, {"zero-shot": "json"}))
    assert [len(r.why_not) for r in (zero, tuned, cnn)] == [1, 1, 2]
    assert "the same photographs and split, scaled to 224×224 beforehand" in zero.sentence


def test_counts_tell_of_pairs_what_they_can():
    told = among(references(DatasetInfo("", 120, 4800, 600, 600)))
    assert len(told) == 3
    tuned = next(line for line in told if "zero-shot" in line and "fine-tuned" in line)
    assert "has 9.0 points more than zero-shot" in tuned and "95% interval 4.3 to 13.6; p < 0.001" in tuned
    assert tuned.endswith("the difference is real whichever those were.")
    # Nobody can pair answers about other images.
    assert not any("asked about the same images" in line for line in told if line is not tuned)
