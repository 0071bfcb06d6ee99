"""Real-time questions: images, forms of answers, probabilities, limits on length, and what is refused."""

import base64
import io
import json
import math

import openai
import pytest
from PIL import Image

from tests.contract import steps
from tests.contract.steps import SCHEMA, SYSTEM, data_url, picture, pictures, question, refused, settle
from tests.pictures import KENNEL, plain

HELLO = [{"role": "user", "content": "Say yes."}]


@pytest.fixture
def dog(dogs):
    """One picture."""
    return pictures(dogs, [0])[0][1]


def schema(properties, **more):
    """Return the form of an answer with these properties."""
    whole = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "form", "strict": True, "schema": whole, **more}}


def image(width, height):
    """Return a picture of a size, small in bytes."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 120, 40)).save(out, "PNG")
    return data_url(out.getvalue(), "png")


def high_tokens(width, height):
    """Return what an image costs in detail: fit into 2048, shortest side 768, tiles of 512."""
    shrink = min(1, 2048 / max(width, height))
    width, height = width * shrink, height * shrink
    shrink = min(1, 768 / min(width, height))
    width, height = round(width * shrink, 6), round(height * shrink, 6)
    return 85 + 170 * math.ceil(width / 512) * math.ceil(height / 512)


def prompt_tokens(client, model, *parts):
    content = [{"type": "text", "text": "What is it?"}, *parts]
    asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]
    return client.chat.completions.create(model=model, messages=asked, max_tokens=5).usage.prompt_tokens


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_one_question(any_client, place, dog):
    asked = {"model": place.deployment, "messages": question(dog)}
    answer = await settle(any_client.chat.completions.create(**asked))
    assert (answer.object, answer.id[:9]) == ("chat.completion", "chatcmpl-")
    assert answer.model.startswith("gpt-4o") and answer.created > 1.7e9
    (choice,) = answer.choices
    assert (choice.index, choice.message.role, choice.finish_reason) == (0, "assistant", "stop")
    assert choice.logprobs is None and choice.message.refusal is None and not choice.message.tool_calls
    if place.emulated:
        assert choice.message.content in KENNEL
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens > 85 and 0 < usage.completion_tokens < 50


def test_what_a_proxy_and_a_filter_add(client, place, dog):
    raw = client.chat.completions.with_raw_response.create(model=place.deployment, messages=question(dog))
    assert int(raw.headers["x-ratelimit-remaining-tokens"]) >= 0
    assert int(raw.headers["x-ratelimit-remaining-requests"]) >= 0
    assert raw.headers["apim-request-id"] and raw.headers["x-request-id"]
    assert raw.parse()._request_id == raw.headers["x-request-id"]
    body = raw.http_response.json()
    assert body["choices"][0]["content_filter_results"]["violence"] == {"filtered": False, "severity": "safe"}
    (prompt,) = body["prompt_filter_results"]
    assert prompt["prompt_index"] == 0 and "hate" in prompt["content_filter_results"]


def test_text_alone_is_answered(client, place):
    answer = client.chat.completions.create(model=place.deployment, messages=HELLO)
    assert answer.choices[0].message.content and answer.usage.prompt_tokens < 85


def test_the_articles_form_of_an_answer(client, place, dog):
    answer = client.chat.completions.create(
        model=place.deployment, messages=question(dog), response_format=SCHEMA, temperature=0, seed=1
    )
    said = json.loads(answer.choices[0].message.content)
    assert set(said) == {"breed"}
    if place.emulated:
        assert said["breed"] in KENNEL


def test_an_enum_holds_the_answer(client, place, dogs):
    allowed = ["pug", "dalmatian"]
    form = schema({"label": {"type": "string", "enum": allowed}})
    for _, path in pictures(dogs, [3]):
        answer = client.chat.completions.create(model=place.deployment, messages=question(path), response_format=form)
        assert json.loads(answer.choices[0].message.content)["label"] in allowed


def test_a_richer_schema_is_met_or_refused(client, place, dog):
    form = schema({"breed": {"type": "string"}, "sure": {"type": "number"}, "spotted": {"type": "boolean"}})
    try:
        answer = client.chat.completions.create(model=place.deployment, messages=question(dog), response_format=form)
    except openai.APIStatusError as error:
        assert error.status_code in (400, 501) and steps.error_of(error.response)
        return
    said = json.loads(answer.choices[0].message.content)
    assert set(said) == {"breed", "sure", "spotted"}
    assert (
        isinstance(said["breed"], str) and isinstance(said["sure"], (int, float)) and said["spotted"] in (True, False)
    )


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"strict": True, "schema": {"type": "object"}}},
        {"type": "poetry"},
        "json_object",
    ],
)
def test_a_form_that_is_none_is_refused(client, place, form):
    with refused(400):
        client.chat.completions.create(model=place.deployment, messages=HELLO, response_format=form)


def test_json_object_needs_the_word_json(client, place, dog):
    form = {"type": "json_object"}
    asked = question(dog, system=f"{SYSTEM} Answer as JSON with the key breed.")
    answer = client.chat.completions.create(model=place.deployment, messages=asked, response_format=form)
    assert isinstance(json.loads(answer.choices[0].message.content), dict)
    with refused(400, message="(?i)json"):
        client.chat.completions.create(model=place.deployment, messages=question(dog), response_format=form)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_ends_at_its_limit(client, place, dog, name):
    asked = question(dog, system=f"{SYSTEM} Answer in a whole sentence.")
    answer = client.chat.completions.create(model=place.deployment, messages=asked, response_format=SCHEMA, **{name: 1})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 1
    with refused(400):
        client.chat.completions.create(model=place.deployment, messages=asked, **{name: 0})


def test_the_probabilities_of_an_answer(client, place, dogs):
    for _, path in pictures(dogs, [1]):
        answer = client.chat.completions.create(
            model=place.deployment, messages=question(path), logprobs=True, top_logprobs=4, temperature=0
        )
        (choice,) = answer.choices
        tokens = choice.logprobs.content
        assert "".join(token.token for token in tokens) == choice.message.content
        assert len(tokens) == answer.usage.completion_tokens
        for token in tokens:
            assert bytes(token.bytes).decode() == token.token
            assert token.logprob <= 0 and 1 <= len(token.top_logprobs) <= 4
            tops = [top.logprob for top in token.top_logprobs]
            assert tops == sorted(tops, reverse=True)
            assert sum(math.exp(top) for top in tops) <= 1 + 1e-6
            assert len({top.token for top in token.top_logprobs}) == len(tops)
            same = [top.logprob for top in token.top_logprobs if top.token == token.token]
            assert same == [token.logprob]  # the most probable token is said
        assert 0 < math.exp(sum(token.logprob for token in tokens)) <= 1


def test_probabilities_as_they_are_asked_for(client, place, dog):
    asked = {"model": place.deployment, "messages": question(dog)}
    alone = client.chat.completions.create(**asked, logprobs=True).choices[0].logprobs.content
    assert alone and all(token.top_logprobs == [] for token in alone)
    form = client.chat.completions.create(**asked, logprobs=True, top_logprobs=2, response_format=SCHEMA)
    assert "".join(t.token for t in form.choices[0].logprobs.content) == form.choices[0].message.content
    for wrong in ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 21}, {"logprobs": True, "top_logprobs": -1}):
        with refused(400):
            client.chat.completions.create(**asked, **wrong)


# --- images ----------------------------------------------------------------------------------------------------------


def test_a_low_image_costs_85_tokens_whatever_its_size(client, place):
    alone = prompt_tokens(client, place.deployment)
    for size in ((32, 24), (1500, 900)):
        assert prompt_tokens(client, place.deployment, picture(image(*size), "low")) == alone + 85
    two = [picture(image(32, 24), "low"), picture(image(24, 32), "low")]
    assert prompt_tokens(client, place.deployment, *two) == alone + 2 * 85


@pytest.mark.parametrize(
    "size", [(32, 24), (512, 512), (513, 512), (600, 600), (1024, 1024), (2048, 512), (4096, 200), (2048, 4096)]
)
def test_a_high_image_costs_its_tiles(client, place, size):
    assert high_tokens(2048, 4096) == 1105  # the example of the page
    alone = prompt_tokens(client, place.deployment)
    assert prompt_tokens(client, place.deployment, picture(image(*size), "high")) == alone + high_tokens(*size)


def test_the_detail_may_be_left_out(client, place):
    alone = prompt_tokens(client, place.deployment)
    for detail in ("auto", None):
        cost = prompt_tokens(client, place.deployment, picture(image(1024, 1024), detail)) - alone
        assert cost in (85, high_tokens(1024, 1024))


def test_an_unknown_detail_is_refused(client, place):
    with refused(400):
        prompt_tokens(client, place.deployment, picture(image(32, 24), "medium"))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_kinds_of_images(client, place, kind):
    content = plain(3, form=kind.upper())
    assert prompt_tokens(client, place.deployment, picture(data_url(content, kind)))


@pytest.mark.parametrize(
    "url",
    [
        "data:image/jpeg;base64,!!!not base64!!!",
        "data:image/jpeg;base64,",
        data_url(b"these bytes are no image"),
        data_url(plain()[:60]),
        "data:text/plain;base64," + base64.b64encode(b"hello").decode(),
        "no address at all",
        "",
    ],
    ids=["broken", "nothing", "no image", "half", "text", "no address", "empty"],
)
def test_what_is_no_image_is_refused(client, place, url):
    with refused(400):
        client.chat.completions.create(
            model=place.deployment, messages=[{"role": "user", "content": [picture(url)]}], max_tokens=5
        )


@pytest.mark.emulator_only("Azure would fetch it")
def test_an_image_elsewhere_is_not_fetched(client, place):
    for url in ("http://127.0.0.1:9/dog.jpg", "https://example.com/dog.jpg", "file:///etc/passwd"):
        with refused((400, 501)):
            client.chat.completions.create(
                model=place.deployment, messages=[{"role": "user", "content": [picture(url)]}]
            )


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "nobody", "content": "x"}],
        [{"content": "x"}],
        [{"role": "user"}],
        ["x"],
        "x",
        [{"role": "user", "content": [{"type": "poem", "text": "x"}]}],
        [{"role": "user", "content": [{"type": "image_url"}]}],
    ],
    ids=["none", "role", "no role", "no content", "no object", "no list", "part", "no url"],
)
def test_messages_that_are_none_are_refused(client, place, messages):
    with refused(400):
        client.post("/chat/completions", cast_to=object, body={"model": place.deployment, "messages": messages})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"messages": null}'])
def test_a_body_that_is_none_is_refused(ask, place, body):
    for path in (
        f"/openai/deployments/{place.deployment}/chat/completions?api-version=2024-10-21",
        "/openai/v1/chat/completions",
    ):
        answer = ask("POST", path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400, path
        steps.error_of(answer)


def test_a_deployment_nobody_made(client, dog):
    with refused(404, "DeploymentNotFound"):
        client.chat.completions.create(model="nobodys", messages=question(dog))


def test_a_batch_deployment_answers_no_real_time_call(client, place, dog):
    with refused(400, "OperationNotSupported"):
        client.chat.completions.create(model=place.batch_deployment, messages=question(dog))


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.emulator_only("Azure does all of this")
@pytest.mark.parametrize(
    "more",
    [
        {"stream": True},
        {"n": 2},
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": "required"},
        {"functions": [TOOL["function"]]},
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        {"stop": ["a"]},
        {"logit_bias": {"1": 100}},
        {"prediction": {"type": "content", "content": "pug"}},
        {"web_search_options": {}},
        {"extra_body": {"data_sources": [{"type": "azure_search", "parameters": {}}]}},
    ],
    ids=lambda more: next(iter(more.get("extra_body", more))),
)
def test_what_it_does_not_do_it_names(client, place, dog, more):
    """Nothing is half answered: a parameter that would change the answer is obeyed or refused by its name."""
    with refused((400, 501)) as caught:
        client.chat.completions.create(model=place.deployment, messages=question(dog), **more)
    assert any(name in caught.value.response.text for name in more.get("extra_body", more))


@pytest.mark.emulator_only("Azure does some of this")
@pytest.mark.parametrize(
    "call",
    [
        lambda client, model: client.embeddings.create(model=model, input="a dog"),
        lambda client, model: client.images.generate(model=model, prompt="a dog"),
        lambda client, model: client.responses.create(model=model, input="a dog"),
        lambda client, model: client.completions.create(model=model, prompt="a dog"),
        lambda client, model: client.moderations.create(input="a dog"),
        lambda client, model: client.vector_stores.list(),
        lambda client, model: client.audio.transcriptions.create(model=model, file=("a.wav", b"x")),
        lambda client, model: client.evals.list(),
        lambda client, model: client.fine_tuning.checkpoints.permissions.retrieve("ftckpt_1"),
    ],
    ids=[
        "embeddings",
        "images",
        "responses",
        "completions",
        "moderations",
        "vectors",
        "audio",
        "evals",
        "permissions",
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_routes_it_does_not_have_are_refused(client, place, call):
    with refused((404, 405, 501)):
        call(client, place.deployment)


def test_the_dated_api_needs_its_date(ask, place):
    answer = ask("POST", f"/openai/deployments/{place.deployment}/chat/completions", json={"messages": HELLO})
    assert answer.status_code in (400, 404)
    steps.error_of(answer)


@pytest.mark.emulator_only("it needs a Foundry project")
def test_the_project_form_of_the_address(place, dog):
    with openai.OpenAI(base_url=f"{place.endpoint}/api/projects/mine/openai/v1/", api_key=place.api_key) as client:
        answer = client.chat.completions.create(model=place.deployment, messages=question(dog))
    assert answer.choices[0].message.content in KENNEL


@pytest.mark.emulator_only("it reads the emulator's ledger")
def test_the_ledger_counts_each_once(client, place, emulator, dog):
    before = emulator.ledger()["chat_requests"]["total"]
    client.chat.completions.create(model=place.deployment, messages=question(dog))
    assert emulator.ledger()["chat_requests"]["total"] == before + 1
