"""Signing in: keys, tokens, and neither."""

import openai
import pytest
from azure.core.exceptions import ClientAuthenticationError

from tests.contract import steps
from tests.contract.places import CLIENTS, FLAVOURS, Token
from tests.contract.steps import items, refused, settle

CALLS = {
    "files.list": lambda c, p: c.files.list(),
    "files.create": lambda c, p: c.files.create(file=("a", b"x"), purpose="batch"),
    "files.retrieve": lambda c, p: c.files.retrieve("file-1"),
    "files.content": lambda c, p: c.files.content("file-1"),
    "files.delete": lambda c, p: c.files.delete("file-1"),
    "uploads": lambda c, p: c.uploads.create(filename="a", bytes=1, mime_type="text/plain", purpose="batch"),
    "uploads.parts": lambda c, p: c.uploads.parts.create("upload_1", data=b"x"),
    "uploads.complete": lambda c, p: c.uploads.complete("upload_1", part_ids=["x"]),
    "uploads.cancel": lambda c, p: c.uploads.cancel("upload_1"),
    "batches.list": lambda c, p: c.batches.list(),
    "batches.retrieve": lambda c, p: c.batches.retrieve("batch_1"),
    "batches.cancel": lambda c, p: c.batches.cancel("batch_1"),
    "batches.create": lambda c, p: c.batches.create(
        input_file_id="file-1", endpoint="/chat/completions", completion_window="24h"
    ),
    "jobs.list": lambda c, p: c.fine_tuning.jobs.list(),
    "jobs.create": lambda c, p: c.fine_tuning.jobs.create(model=steps.BASE, training_file="file-1"),
    "jobs.retrieve": lambda c, p: c.fine_tuning.jobs.retrieve("ftjob-1"),
    "jobs.events": lambda c, p: c.fine_tuning.jobs.list_events("ftjob-1"),
    "jobs.checkpoints": lambda c, p: c.fine_tuning.jobs.checkpoints.list("ftjob-1"),
    "jobs.cancel": lambda c, p: c.fine_tuning.jobs.cancel("ftjob-1"),
    "jobs.pause": lambda c, p: c.fine_tuning.jobs.pause("ftjob-1"),
    "jobs.resume": lambda c, p: c.fine_tuning.jobs.resume("ftjob-1"),
    "models.list": lambda c, p: c.models.list(),
    "models.retrieve": lambda c, p: c.models.retrieve(steps.BASE),
    "chat": lambda c, p: c.chat.completions.create(
        model=p.deployment, messages=[{"role": "user", "content": "Say yes."}]
    ),
}
PATHS = ("/openai/files?api-version=2024-10-21", "/openai/v1/files")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_wrong_key_is_refused_everywhere(place, flavour, call):
    with place.client(flavour, key="wrong") as client, refused(401):
        call(client, place)


async def test_a_wrong_key_is_refused_to_the_async_client_too(place):
    async with place.client("dated", "async", key="wrong") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.files.list()


def test_no_key_at_all(place, ask):
    for path in PATHS:
        for headers in ({"api-key": ""}, {"authorization": "Bearer"}, {"authorization": f"Basic {place.api_key}"}):
            answer = ask("GET", path, key="", headers=headers)
            assert answer.status_code == 401
            steps.error_of(answer)


@pytest.mark.emulator_only("a resource may take tokens alone")
def test_a_key_goes_in_its_header(place, ask):
    for path in PATHS:
        assert ask("GET", path).status_code == 200


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_token_signs_in_too(place, ask, flavour, kind):
    """Entra ID: a provider gives the token, and nobody knows the key."""
    provider = place.token_provider()
    if place.emulated:
        token = ask("POST", "/emulator/token", json={"seconds": 600}).json()
        provider = lambda: token["access_token"]  # noqa: E731
    client = place.client(flavour, kind, provider=provider)
    try:
        await items(client.files.list(limit=100))
        answer = await settle(
            client.chat.completions.create(model=place.deployment, messages=[{"role": "user", "content": "Say yes."}])
        )
        assert answer.choices
    finally:
        await settle(client.close())


@pytest.mark.emulator_only("it needs a token that ends at once")
@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_token_ends(place, ask, flavour):
    token = ask("POST", "/emulator/token", json={"seconds": 1}).json()
    assert token["access_token"] != place.api_key and int(token["expires_on"]) > 1.7e9

    def status():
        with place.client(flavour, provider=lambda: token["access_token"]) as client:
            try:
                client.files.list(limit=1)
            except openai.AuthenticationError as error:
                return steps.error_of(error.response)
        return None

    await steps.until(status, bool, patience=10)


@pytest.mark.emulator_only("it needs the emulator's own tokens")
def test_a_made_up_token_is_refused(place):
    for flavour in FLAVOURS:
        with place.client(flavour, provider=lambda: "eyJ.made.up") as client, refused(401):
            client.files.list()


@pytest.mark.parametrize("kind", CLIENTS)
async def test_arm_refuses_a_wrong_token(place, kind):
    arm = place.management(kind, token="wrong")
    try:
        with pytest.raises(ClientAuthenticationError) as caught:
            await items(arm.deployments.list(place.resource_group, place.account, **place.arm_options))
        assert caught.value.status_code == 401
    finally:
        await settle(arm.close())


@pytest.mark.emulator_only("it needs the emulator's own tokens")
def test_arm_takes_a_token(place, ask):
    token = ask("POST", "/emulator/token", json={"seconds": 600}).json()["access_token"]
    assert Token(token).get_token().token == token
    with place.management(token=token) as arm:
        assert list(arm.deployments.list(place.resource_group, place.account, **place.arm_options))


@pytest.mark.emulator_only("it is about the emulator's own routes")
@pytest.mark.parametrize("path", ["ledger", "settings"])
def test_the_emulators_own_routes_need_the_key(ask, path):
    assert ask("GET", f"/emulator/{path}").status_code == 200
    assert ask("GET", f"/emulator/{path}", key="wrong").status_code == 401
