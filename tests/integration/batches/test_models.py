"""Answers of two models are never one contestant's."""

import pytest

from engine.errors import JobError


async def test_the_model_of_the_answers_is_kept_and_another_one_is_refused(world):
    world.make(3)
    await world.run()
    experiments = world.store.experiments
    assert experiments.served(world.contestant) == "gpt-4o-2024-08-06"
    assert experiments.add_served(world.contestant, "gpt-4o") == "gpt-4o-2024-08-06"
    assert not world.said("the prices are those of")


async def test_answers_of_another_model_are_not_mixed_in(world):
    world.make(3)
    world.store.experiments.add_served(world.contestant, "gpt-4o-2024-11-20")
    refused = "answered by gpt-4o-2024-08-06; the answers before it are of gpt-4o-2024-11-20. Start a new experiment"
    with pytest.raises(JobError, match=refused):
        await world.run()
    assert world.outcomes() == {}


async def test_a_model_that_is_not_the_priced_one_is_shown(world):
    world.make(2)
    with world.store.db.transaction() as db:
        db.execute("UPDATE jobs SET parameters = json_set(parameters, '$.model', 'gpt-4.1-2025-04-14')")
    await world.run()
    assert world.said("the deployment serves gpt-4o-2024-08-06; the prices are those of gpt-4.1-2025-04-14")
