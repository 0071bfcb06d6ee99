"""401 and 403 by their cause: the service's own reason, a hint that fits, and patience where a job polls."""

import asyncio
import json

import pytest

from engine.azure import batches, chat, patience
from engine.azure.connection import Azure, Endpoint, check
from engine.azure.denials import OTHERWISE
from engine.azure.deployments import list_deployments
from engine.azure.patience import admitted, patiently
from engine.errors import ServiceUnavailable, SignInError
from engine.jobs.doctor import _examine
from tests.answering import answering
from tests.integration.test_azure_service import ASK, BATCH, azure, completion, service  # noqa: F401

KEY = "sesame-0123456789"
CASES = {
    "firewall": (403, "403", "Access denied due to Virtual Network/Firewall rules.", "Networking"),
    "private": (403, "PublicNetworkAccessDisabled", "Public access is disabled. Use a private endpoint.", "Networking"),
    "keys off": (
        403,
        "AuthenticationTypeDisabled",
        "Key based authentication is disabled for this resource.",
        "az login",
    ),
    "role": (
        401,
        "PermissionDenied",
        "The principal `1` lacks the required data action `x/deployments/chat/completions/action` to perform `POST`.",
        "Cognitive Services OpenAI Contributor",
    ),
    "role of ARM": (
        403,
        "AuthorizationFailed",
        "The client 'a@b' does not have authorization to perform action 'x/write' over scope '/subscriptions/1'.",
        "Cognitive Services OpenAI Contributor",
    ),
    "audience": (401, "InvalidAuthenticationToken", "The audience of the token is not valid.", "another cloud"),
    "tenant": (
        401,
        "InvalidAuthenticationTokenTenant",
        "The access token is from the wrong issuer 'https://sts.windows.net/1/'.",
        "az login --tenant",
    ),
    "tenant of the data plane": (
        400 + 1,
        "Tenant provided in token does not match resource token",
        "",
        "az login --tenant",
    ),
    "expired": (401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now.", "az login"),
    "three causes": (
        401,
        "Unauthorized",
        "Access token is missing, invalid, audience is incorrect (https://x), or have expired.",
        "az login --tenant",
    ),
    "wrong key": (
        401,
        "401",
        "Access denied due to invalid subscription key or wrong API endpoint.",
        "both must be of one resource",
    ),
    "unknown 401": (401, "", "No.", OTHERWISE[401]),
    "unknown 403": (403, "", "No.", OTHERWISE[403]),
}


def place_of(server):
    names = {"subscription": "s", "resource_group": "g", "account": "a"}
    return Endpoint(server.url, KEY, deployment="d", arm_endpoint=server.url, emulated=True, **names)


@pytest.mark.parametrize("plane", ["data", "control"])
@pytest.mark.parametrize("case", CASES)
async def test_the_reason_is_shown_and_the_hint_fits(case, plane):
    status, code, message, hint = CASES[case]
    with answering(status, "application/json", json.dumps({"error": {"code": code, "message": message}})) as server:
        async with Azure(place_of(server)) as azure:
            with pytest.raises(SignInError) as caught:
                await (check(azure) if plane == "data" else list_deployments(azure))
    assert (message or code) in caught.value.message
    assert caught.value.message.startswith(f"{server.url}: sign-in refused ({status})")
    assert hint in caught.value.cure
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"statusCode": 401, "message": "of a gateway"}', "of a gateway"),
        ('{"error": "a text"}', "a text"),
        ('{"error": {"message": "\\u001b[31mred\\u0007\\nsecond line"}}', "[31mred"),
        ('{"error": {"message": "key sesame-0123456789 is wrong"}}', "key … is wrong"),
        (json.dumps({"error": {"message": "x" * 5000}}), "x" * 300 + "…"),
        ("plain", "plain"),
        ("", "sign-in refused (401)"),
        ("[1]", "sign-in refused (401)"),
    ],
)
async def test_any_body_is_shown_literally_short_and_without_the_key(body, shown):
    with answering(401, "application/json", body) as server:
        async with Azure(place_of(server)) as azure:
            with pytest.raises(SignInError) as caught:
                await check(azure)
    assert shown in caught.value.message
    assert KEY not in str(caught.value) and "\x1b" not in str(caught.value) and "\n" not in str(caught.value)
    assert len(caught.value.message) < 400


async def test_the_page_of_a_blocking_proxy_is_no_refusal_of_the_service():
    with answering(403, "text/html", "<html><title>Blocked by policy</title></html>") as server:
        async with Azure(place_of(server)) as azure:
            with pytest.raises(
                ServiceUnavailable, match=r"not the service's \(403, a web page titled 'Blocked by policy'"
            ):
                await batches.get(azure, "batch_1")


async def test_the_doctor_shows_reason_and_hint():
    body = {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}
    with answering(403, "application/json", json.dumps(body)) as server:
        found = [checkup async for checkup in _examine(place_of(server), server.url)]
    problem = found[-1]
    assert (problem.name, problem.state) == ("sign-in", "problem")
    assert "Virtual Network/Firewall" in problem.found and "Networking" in problem.cure


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(patience, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(patience, "LONGEST_SECONDS", 0.02)


def refusing(times):
    left = iter(range(times))

    async def call():
        if next(left, None) is not None:
            raise SignInError("x: sign-in refused (403): firewall", "Allow it.", status=403)
        return "done"

    return call


async def test_a_refusal_while_a_job_polls_is_waited_out_and_shown(quick):
    heard = []
    assert await patiently(refusing(5), say=heard.append) == "done"
    assert heard == ["waiting: x: sign-in refused (403): firewall", "the service answers again"]


async def test_a_refusal_that_stays_ends_it(quick):
    with pytest.raises(SignInError, match="firewall"):
        await asyncio.wait_for(patiently(refusing(10**9), say=print, denied=0.2), 10)


async def test_a_refusal_is_raised_at_once_where_nothing_shows_the_wait(quick):
    call = refusing(1)
    with pytest.raises(SignInError):
        await patiently(call)
    assert await call() == "done"


def test_a_quarter_of_an_hour_is_waited():
    assert patience.DENIED_SECONDS == 900


DENIAL = {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}


@pytest.fixture
def quick_chat(quick, monkeypatch):
    monkeypatch.setattr(chat, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(chat, "LONGEST_SECONDS", 0.02)


async def score(opened, count=6, heard=None):
    answers = []
    await chat.score(
        opened,
        "d",
        [(str(n), lambda: {"messages": []}) for n in range(count)],
        concurrency=1,
        on_answer=lambda answer, _: answers.append(answer),
        stop=lambda: False,
        say=heard.append if heard is not None else None,
    )
    return answers


async def test_a_refusal_in_the_middle_of_scoring_is_waited_out(service, azure, quick_chat):  # noqa: F811
    service.routes = {ASK: lambda count, body: (403, DENIAL) if 3 <= count <= 6 else (200, completion())}
    heard = []
    answers = await score(azure, heard=heard)
    assert [answer.error for answer in answers] == [None] * 6
    assert service.asked[ASK] == 10
    assert len(heard) == 1 and "Firewall" in heard[0]


async def test_a_refusal_at_the_start_of_scoring_ends_it_at_once(service, azure, quick_chat):  # noqa: F811
    service.routes = {ASK: lambda count, body: (403, DENIAL)}
    with pytest.raises(SignInError, match="Firewall") as caught:
        await score(azure)
    assert "Networking" in caught.value.cure
    assert service.asked[ASK] == 1


async def test_a_refusal_that_stays_ends_scoring(service, azure, quick_chat, monkeypatch):  # noqa: F811
    monkeypatch.setattr(patience, "DENIED_SECONDS", 0.1)
    service.routes = {ASK: lambda count, body: (200, completion()) if count == 1 else (403, DENIAL)}
    with pytest.raises(SignInError, match="Firewall"):
        async with asyncio.timeout(20):
            await score(azure)
    assert service.asked[ASK] > 2


async def test_a_creation_that_is_refused_is_made_once_it_is_let_in(service, azure, quick):  # noqa: F811
    service.routes = {"POST /batches": lambda count, body: (401, DENIAL) if count < 3 else (200, BATCH)}
    made = await batches.ensure_created(azure, "file-1", "mine", find_first=False, say=lambda _: None)
    assert (made.id, service.asked) == ("batch_1", {"POST /batches": 3})


async def test_an_outage_of_a_creation_is_raised_at_once():
    async def call():
        raise ServiceUnavailable("x: no answer.")

    with pytest.raises(ServiceUnavailable):
        await admitted(call, say=print)
