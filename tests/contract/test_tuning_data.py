"""Fine-tuning data: what is refused of it, by its line, and how much is taken."""

import io
import re

import openai
import pytest
from PIL import Image

from tests.contract import steps
from tests.contract.steps import data_url, ended_job, picture, rows, start_job, upload
from tests.pictures import plain

pytestmark = pytest.mark.emulator_only("training costs $27.50 a million tokens; the article's script trains once")


async def complaint(client, place, data, **options):
    """Return what is said of data that cannot be trained on, at once or when the job fails."""
    training = await upload(client, place, data, "fine-tune")
    if training.status == "error":
        return str(training.status_details)
    try:
        job = await start_job(client, training, **options)
    except openai.BadRequestError as error:
        return steps.error_of(error.response)["message"]
    done = await ended_job(client, place, job)
    assert done.status == "failed", done
    assert done.error.code and done.fine_tuned_model is None and not done.result_files
    return done.error.message


def spoil(row, **part):
    """Return an example with another image in it."""
    system, _, answer = row["messages"]
    return {"messages": [system, {"role": "user", "content": part["content"]}, answer]}


BAD_LINES = {
    "no json": lambda row: b'{"messages": [',
    "no object": lambda row: b"[]",
    "no messages": lambda row: {"messages": []},
    "no answer": lambda row: {"messages": row["messages"][:2]},
    "a role": lambda row: {"messages": [*row["messages"][:2], {"role": "nobody", "content": "x"}]},
    "an image in an answer": lambda row: {
        "messages": [*row["messages"][:2], {"role": "assistant", "content": row["messages"][1]["content"]}]
    },
    "no image": lambda row: spoil(row, content=[picture(data_url(b"these bytes are no image"))]),
    "broken base64": lambda row: spoil(row, content=[picture("data:image/jpeg;base64,!!!")]),
    "half an image": lambda row: spoil(row, content=[picture(data_url(plain()[:60]))]),
    "65 images": lambda row: spoil(row, content=[picture(data_url(plain(n))) for n in range(65)]),
    "another format": lambda row: spoil(row, content=[picture(data_url(plain(form="GIF"), "gif"))]),
    "a detail": lambda row: spoil(row, content=[picture(data_url(plain()), "medium")]),
    "10 MB": lambda row: spoil(row, content=[picture(data_url(plain() + bytes(10 * 1024**2 + 1)))]),
}


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
async def test_a_bad_line_is_named(client, place, dogs, bad):
    data = rows(dogs)
    data[6] = bad(data[6])
    assert re.search(r"\bline 7\b", await complaint(client, place, data), re.IGNORECASE)


async def test_a_greyscale_image_is_named(client, place, dogs):
    out = io.BytesIO()
    Image.new("L", (32, 32), 120).save(out, "PNG")
    data = rows(dogs)
    data[3] = spoil(data[3], content=[picture(data_url(out.getvalue(), "png"))])
    assert re.search(r"\bline 4\b", await complaint(client, place, data), re.IGNORECASE)


async def test_64_images_are_taken(client, place, dogs):
    data = rows(dogs)
    data[0] = spoil(data[0], content=[picture(data_url(plain(n))) for n in range(64)])
    job = await start_job(client, await upload(client, place, data, "fine-tune"))
    assert (await ended_job(client, place, job)).status == "succeeded"


async def test_ten_examples_are_the_fewest(client, place, dogs):
    assert "10" in await complaint(client, place, rows(dogs)[:9])
    assert await complaint(client, place, b"")
    job = await start_job(client, await upload(client, place, rows(dogs)[:10], "fine-tune"))
    assert (await ended_job(client, place, job)).status == "succeeded"


async def test_a_bad_line_of_the_validation_file_is_named(client, place, dogs):
    checking = await upload(client, place, [*rows(dogs, [5]), {"messages": []}], "fine-tune")
    said = await complaint(client, place, rows(dogs), validation_file=checking.id)
    assert re.search(r"\bline 5\b", said, re.IGNORECASE)
