from engine.evaluation.suspects import kinship, suspects
from tests.unit.test_cascade import answers, said


def found_in(*rows, truths=None, **more):
    """Rows: (name, kind, predicted, sure)."""
    who = [said(*row) for row in rows]
    return suspects(answers(truths or [0] * len(rows[0][2]), *who), **more)


def test_two_that_agree_against_the_label_make_it_suspect():
    found = found_in(
        ("cnn", "cnn", [1, 0, 1, 1], [0.97, 0.99, 0.3, 0.6]),
        ("zero-shot", "zero-shot", [1, 1, 1, 2]),
        ("tuned", "fine-tuned", [0, 0, 0, 0]),
    )
    assert [s.image for s in found] == [0]  # 1: alone; 2: the network says so at 30%; 3: two others
    (one,) = found
    assert (one.by, one.against, one.surest, one.sure) == (("cnn", "zero-shot"), ("tuned",), 0.97, True)
    assert one.reason == (
        "cnn and zero-shot say Silky Terrier, the label says Pug; the surest is 97% sure; tuned agrees with the label."
    )


def test_more_agreement_and_more_confidence_come_first():
    found = found_in(
        ("cnn", "cnn", [2, 1, 2, 1], [0.6, 0.95, 0.99, 0.95]),
        ("zero-shot", "zero-shot", [2, 1, 2, 1]),
        ("tuned", "fine-tuned", [0, 1, 2, 0]),
        truths=[0, 0, 1, 0],
    )
    assert [s.image for s in found] == [2, 1, 3, 0]
    assert [s.usual for s in found] == [0, 1, 1, 0]
    assert "the same was said of 1 other image of this label" in found[1].reason


def test_as_many_for_the_label_as_against_it_still_is_a_reason_to_look_but_more_is_not():
    four = [("a", "zero-shot", [1]), ("b", "zero-shot", [1]), ("c", "zero-shot", [0]), ("d", "zero-shot", [0])]
    assert [s.against for s in found_in(*four)] == [("c", "d")]
    assert found_in(*four, ("e", "zero-shot", [0])) == []


def test_cascades_and_missing_answers_do_not_count():
    assert found_in(("cnn", "cnn", [1], [0.99]), ("c", "cascade", [1]), ("z", "zero-shot", [None])) == []
    assert found_in(("z", "zero-shot", [])) == []


def test_what_the_label_was_given_is_told():
    rows = (("cnn", "cnn", [1, 1], [0.95, 0.95]), ("z", "zero-shot", [1, 1]))
    ranking = {"cnn": [[(1, 0.95), (0, 0.04)], [(1, 0.95), (2, 0.01)]]}
    found = found_in(*rows, rankings=ranking)
    assert [(s.image, s.truth_probability) for s in found] == [(1, 0.0), (0, 0.04)]
    assert [s.truth_probability for s in found_in(*rows, sure={"cnn": [0.95, 0.95]})] == [None, None]


def test_networks_of_one_family_are_one_voice():
    rows = [("a", "zero-shot", [1]), ("b", "fine-tuned", [1]), ("cnn", "cnn", [1])]
    for kin, sure in (((), True), (("a",), True), (("a", "b"), False), (("a", "b", "cnn"), False)):
        (one,) = found_in(*rows, kin=kin)
        assert (one.kin, one.sure) == (len(kin), sure)
        assert bool(kinship([one])) == (len(kin) > 1)
    (one,) = found_in(
        ("a", "zero-shot", [1]), ("b", "fine-tuned", [1]), ("cnn", "cnn", [1], [0.95]), kin=("a", "b", "cnn")
    )
    assert one.sure  # by its confidence
    assert kinship([]) == ""
