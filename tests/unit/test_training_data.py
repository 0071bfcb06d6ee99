"""Fine-tuning data before it is uploaded: every published limit, with its line, its file and the cure."""

import base64
import io
import json

import pytest
from PIL import Image

from engine.azure.fine_tuning import Event, TuningStatus, base_model
from engine.datasets.training_file import MAX_IMAGES, check_image_files, check_training_file
from engine.errors import InputError
from engine.jobs import tuning_checks
from engine.jobs.spec import make_spec, parameters
from tests.pictures import catalogued, plain

MODEL = "gpt-4o-2024-08-06"


def url(data=None, mime="image/jpeg"):
    return f"data:{mime};base64,{base64.b64encode(plain() if data is None else data).decode()}"


def image(form="JPEG", mode="RGB", size=(32, 24)):
    out = io.BytesIO()
    Image.new(mode, size).save(out, form)
    return out.getvalue()


def part(address, detail="low"):
    return {"type": "image_url", "image_url": {"url": address, "detail": detail}}


def example(*parts, answer="pug"):
    return {
        "messages": [
            {"role": "system", "content": "Which dog?"},
            {"role": "user", "content": list(parts) or [part(url())]},
            {"role": "assistant", "content": answer},
        ]
    }


@pytest.fixture
def check(tmp_path):
    def write(*lines, count=12, at=7, **options):
        """Check a file of good lines with some others in their midst, from line 7 on."""
        good = json.dumps(example()).encode()
        rows = [good] * count
        rows[at - 1 : at - 1 + len(lines)] = [
            line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines
        ]
        path = tmp_path / "t.jsonl"
        path.write_bytes(b"\n".join(rows) + b"\n")
        return check_training_file(path, names=[f"{n}.jpg" for n in range(1, len(rows) + 1)], **options)

    return write


def test_a_good_file_has_no_problem_and_is_counted(check):
    found = check()
    assert (found.examples, found.count, found.problems) == (12, 0, [])
    assert found.pictures == {(32, 24, "low"): 12}
    assert found.characters == 12 * len("Which dog?pug")
    assert tuning_checks.tokens_of(found, MODEL) == pytest.approx(12 * (85 + 13 / 3.86), abs=2)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"messages": "\xff"}', "is not UTF-8 at byte 15"),
        (b"{not json", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"", "is empty"),
        ({"messages": []}, "has no messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "the role 'robot'"),
        ({"messages": example()["messages"][:2]}, "has no assistant message"),
        (example(*[part(url())] * (MAX_IMAGES + 1)), "has 65 images, and the service takes 64"),
        (example(answer=[part(url())]), "has an image in an assistant message"),
        (example({"type": "audio"}), "neither text nor image"),
        (example(part(url(), "sharp")), "of the detail 'sharp'"),
        (example(part("ftp://x/y.jpg")), "is no data URL"),
        (example(part(url(mime="image/gif"))), "of the type 'image/gif'"),
        (example(part("data:image/jpeg;base64,###")), "base64 is broken"),
        (example(part(url(b"no picture"))), "it is no image"),
        (example(part(url(image("GIF")))), "the format is GIF"),
        (
            example(part(url(image(mode="L")))),
            "the mode is L, and RGB or RGBA is taken. Convert it to RGB, or let that be done",
        ),
        (example(part(url(image(mode="CMYK")))), "the mode is CMYK"),
        (example(part(url(image("PNG", "P")))), "the mode is P"),
        (example(part(url(plain(size=(64, 64))[:-40]))), "cannot be decoded"),
        (example(part(url(plain() + bytes(10_000_000)))), "and the service takes 10,000,000. Scale it down."),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_each_problem_is_told_with_line_file_and_cure(check, line, says):
    found = check(line)
    (problem,) = found.problems
    assert (problem.line, problem.name if line else "7.jpg") == (7, "7.jpg")
    assert says in str(problem)
    assert str(problem).startswith("line 7")
    assert problem.cure


@pytest.mark.parametrize("data", [image("PNG"), image("PNG", "RGBA"), image("WEBP")], ids=["png", "rgba", "webp"])
def test_other_kinds_of_picture_are_fine(check, data):
    assert not check(example(part(url(data, f"image/{Image.open(io.BytesIO(data)).format.lower()}")))).count


def test_all_problems_are_found_not_only_the_first(check):
    found = check({"messages": []}, example(part(url(image(mode="L"))), part(url(image("GIF")))), b"{")
    assert [p.line for p in found.problems] == [7, 8, 8, 9]
    with pytest.raises(InputError, match=r"line 7 \(7\.jpg\): has no messages.*line 8.*line 9"):
        tuning_checks.refuse(found.problems, "No", found.count)


def test_so_many_problems_are_kept_and_the_rest_is_counted(check):
    found = check(*[b"{"] * 150, count=160)
    assert (len(found.problems), found.count) == (100, 150)
    with pytest.raises(InputError, match=r"And 145 more\."):
        tuning_checks.refuse(found.problems, "No", found.count)


def test_too_few_too_many_too_large(check):
    assert "9 training examples, and at least 10 are needed" in str(check(count=9).problems[0])
    assert not check(count=9, what="validation").count
    assert "13 training examples, and the service takes 12" in str(check(count=13, max_examples=12).problems[0])
    assert "MB, and the service takes" in str(check(max_bytes=5000).problems[0])


def test_a_byte_order_mark_and_an_empty_last_line_are_fine(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + (json.dumps(example()) + "\n").encode() * 10 + b"\n")
    assert not check_training_file(path).count


def test_images_are_checked_before_a_file_is_written_of_them(tmp_path):
    good, grey, gone = tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "c.jpg"
    good.write_bytes(plain())
    grey.write_bytes(image(mode="L"))
    told = [str(p) for p in check_image_files([catalogued(path) for path in (*[good] * 9, grey, gone)], 12)]
    assert f"{grey}: the mode is L" in told[0]
    assert f"{gone}: No such file" in told[1]
    assert "11 training images, and the service takes 12 to 50,000" in told[2]


def test_an_image_that_has_changed_is_refused_before_a_file_is_written(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(plain(1))
    picture = catalogued(path)
    assert not check_image_files([picture], 1)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert not check_image_files([picture], 1, every_byte=False)  # at the launch, which reads only headers
    (told,) = check_image_files([picture], 1)
    assert str(told).startswith(f"{path}: has changed since the dataset was added. Put the file back as it was, or")
    path.write_bytes(path.read_bytes() + b"!")
    assert check_image_files([picture], 1, every_byte=False)[0].what == told.what


def test_the_model_the_suffix_and_the_tokens():
    assert not tuning_checks.check_request(MODEL, "dogcls-1", 10**9, 2)
    assert not tuning_checks.check_request("gpt-4.1-2025-04-14.ft-0123-dogs:ckpt-step-4")  # continual fine-tuning
    assert base_model("gpt-4.1-2025-04-14.ft-0123-dogs") == "gpt-4.1-2025-04-14"
    assert "cannot be fine-tuned on images" in str(tuning_checks.check_request("gpt-4o-mini-2024-07-18")[0])
    for suffix in ("x" * 41, "a b", "ü"):
        assert "the suffix" in str(tuning_checks.check_request(MODEL, suffix)[0])
    assert "3 epochs, and the service takes 2,000,000,000" in str(tuning_checks.check_request(MODEL, "", 10**9, 3)[0])
    assert not tuning_checks.check_request(MODEL, "", 10**9, None)


def status(state):
    return TuningStatus("ftjob-1", state, "f", None, (), None, None, None, "")


def test_the_resource_must_have_room():
    def problems(files=(), jobs=(), new=(("mine", 10),)):
        return " ".join(map(str, tuning_checks.check_resource(files, jobs, new)))

    assert problems() == ""
    assert "has 49 fine-tuning files" in problems([(str(n), 1) for n in range(49)], new=[("a", 1), ("b", 1)])
    assert problems([("mine", 10), *((str(n), 1) for n in range(49))]) == ""  # it is there already
    assert "would have 1,100 MB, and it takes 1,000" in problems([("a", 900_000_000)], new=[("b", 200_000_000)])
    assert "has 100 fine-tuning jobs" in problems(jobs=[status("succeeded")] * 100)
    assert "20 fine-tuning jobs wait already" in problems(jobs=[status("pending")] * 20)
    assert problems(jobs=[status("running"), *[status("pending")] * 19]) == ""


def unused(**more):
    return tuning_checks.unused(48, **({"tokens": 48 * 600, "billed": 48 * 600 * 2, "epochs": 2} | more))


def test_images_that_were_left_out_show_in_what_is_billed_and_in_the_steps():
    assert unused() == 0
    assert unused(billed=30 * 600 * 2) == 18  # the published run: 30 of 48
    assert unused(billed=46 * 600 * 2) == 0  # no more than our estimate may be wrong by
    assert unused(batch_size=6, steps=16) == 0
    assert unused(batch_size=6, steps=10) == 18
    assert unused(batch_size=6, steps=11) == 0  # a resumed or stopped run: nothing can be said
    assert unused(epochs=None, billed=1) == 0


def test_images_that_events_name_are_named():
    def event(message):
        return Event("e", 0, "warning", message, {})

    names = [f"{n}.jpg" for n in range(1, 49)]
    told = [
        event("Preprocessing completed for training file."),
        event("Step 10: training loss=0.5"),
        event("Skipped 3 images for content moderation: lines 3, 17 and 48"),
        event("Image in example 5 was dropped (face)."),
        event("line 900 was dropped"),
    ]
    assert tuning_checks.named(told, names) == ["3.jpg", "17.jpg", "48.jpg", "5.jpg"]


def test_hyperparameters_may_be_left_to_the_service():
    spec = make_spec({"dataset": "d", "epochs": "auto", "batch_size": "7", "lr_multiplier": "auto"})
    assert (spec.epochs, spec.batch_size, spec.lr_multiplier) == ("auto", 7, "auto")
    assert 'epochs = "auto"' in spec.to_toml()
    allowed = {p.name: p.allowed for p in parameters()}
    assert allowed["epochs"] == "1 to 50, or auto"
    assert allowed["lr_multiplier"] == "above 0 to 10, or auto"
    for bad, says in (({"epochs": "many"}, "epochs: should be"), ({"batch_size": 0}, "batch_size: should be greater")):
        with pytest.raises(InputError, match=says):
            make_spec({"dataset": "d", **bad})
