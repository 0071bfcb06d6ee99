"""Request files of an earlier attempt: sent only where this job wrote them, and what was paid is not paid again."""

import json
import shutil

import pytest

from engine.errors import JobError
from engine.jobs.binding import ResourceBinding
from tests.integration.batches.world import whole


async def written(world):
    """Write the first round's files, and stop before any is sent."""
    with pytest.MonkeyPatch.context() as patch:

        async def stop(*_, **__):
            raise RuntimeError("stopped")

        patch.setattr("engine.azure.files.ensure_uploaded", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            await world.run()
    with world.store.db.transaction() as db:  # as if it had ended right before the intent
        db.execute("DELETE FROM remote_calls")
    folder = world.home.job(world.job) / "round-1"
    (requests,) = folder.glob("requests-*.jsonl")
    return folder / "shards.json", requests


def changed(manifest, part):
    kept = json.loads(manifest.read_text())
    kept["identity"][part] = "other"
    manifest.write_text(json.dumps(kept))


@pytest.mark.parametrize("part", ["job", "data", "parameters"])
async def test_request_files_of_another_job_are_written_anew(world, part):
    manifest, requests = await written(world.make(3))
    right = requests.read_bytes()
    requests.write_bytes(right.replace(b"image-", b"other-"))
    changed(manifest, part)
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 3) and world.said(f"its {part} is another")


async def test_a_request_file_that_has_changed_is_written_anew(world):
    _, requests = await written(world.make(3))
    requests.write_bytes(requests.read_bytes().replace(b"image-", b"other-"))
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 3) and world.said("requests-00001.jsonl is not as it was written")


async def test_request_files_of_another_job_are_refused_by_name_once_batches_were_made(world):
    world.make(3)
    manifest, _ = await written(world)
    world.store.jobs.intend(world.job, "batch", "round-1-0")
    changed(manifest, "job")
    with pytest.raises(JobError, match=r"round-1: its job is another\. Batches were made of this round"):
        await world.run()
    assert not world.ended()


async def test_a_store_restored_from_before_the_batch_finds_it_and_pays_once(world, place):
    world.make(3)
    with pytest.MonkeyPatch.context() as patch:

        async def stop(*_, **__):
            raise RuntimeError("stopped")

        patch.setattr("engine.jobs.kinds.rounds.Round._poll", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            await world.run()
    assert sum(world.ended().values()) == 1
    with world.store.db.transaction() as db:  # the copy knows of no call
        db.execute("DELETE FROM remote_calls")
        db.execute("UPDATE jobs SET attempt = 0, state = 'waiting' WHERE id = ?", (world.job,))
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 3) and world.ended() == {"completed": 1}


async def test_a_store_restored_from_before_the_answers_reads_those_that_were_downloaded(world, place):
    await world.make(3).run()
    with world.store.db.transaction() as db:
        for table in ("predictions", "remote_calls"):
            db.execute(f"DELETE FROM {table}")
    assert (await world.run())["unanswered"] == 0
    assert whole(world, 3) and world.ended() == {"completed": 1}
    assert world.said("3 answers of earlier rounds read again")


async def test_an_unbound_job_is_bound_to_the_resource_that_it_first_reached(world, place):
    await world.make(2).run()
    found = ResourceBinding.read(world.store.jobs.get(world.job).parameters)
    assert found.endpoint == place.endpoint and found.emulated


async def test_a_lost_folder_is_made_again(world, place):
    await written(world.make(2))
    shutil.rmtree(world.home.job(world.job))
    assert (await world.run())["unanswered"] == 0 and whole(world, 2)
