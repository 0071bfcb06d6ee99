"""No secret of the process is in any text that leaves it: messages, store, streams, tracebacks."""

import base64
import io
import json
import os
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from engine import secrets
from engine.azure.connection import Endpoint, _SignIn
from engine.endpoints import clean_key
from engine.errors import ConfigurationError, DogclsError
from engine.jobs.embedded import Embedded
from engine.secrets import redact, redacted, register, register_environment, register_url
from engine.settings import load_settings
from engine.states import JobState
from engine.store.experiments import NewJob
from tests.unit.test_store_jobs import add_jobs

KEY = "Zq7/+wY3 x=="  # with what every encoding changes
LONG = "4f1c2d3e5a6b7c8d9e0f112233445566"


@pytest.fixture(autouse=True)
def forgotten():
    with secrets.forgotten():
        yield


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        quote(KEY, safe=""),
        quote_plus(KEY),
        json.dumps(KEY),
        repr(KEY),
        repr(KEY.encode()),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
    ],
)
def test_a_secret_is_hidden_in_every_form(form):
    register(KEY)
    shown = redact(f"Illegal header value: {form}, sent twice: {form}")
    assert KEY not in shown and form not in shown
    assert shown.count(secrets.HIDDEN) == 2


def test_text_that_only_looks_like_a_key_stays_whole():
    register(LONG)
    text = "api-key: none was given; Authorization: Bearer is missing; 4f1c2d3e5a6b7c8d9e0f112233445567"
    assert redact(text) == text


def test_a_short_secret_hides_no_part_of_a_word():
    register("dog1")
    assert redact("dog12 and dog1: 3") == f"dog12 and {secrets.HIDDEN}: 3"
    register("abc")  # too short to be one
    assert redact("abc") == "abc"


def test_a_url_gives_its_password_and_signature():
    register_url("https://me:pass%2Fword1@host.example/f?sv=2021-01-01&sig=AbC%2Bd%2Fef01&api-key=PLANTED")
    shown = redact("pass/word1 pass%2Fword1 AbC+d/ef01 AbC%2Bd%2Fef01 PLANTED 2021-01-01 host.example")
    assert shown == " ".join([secrets.HIDDEN] * 5 + ["2021-01-01", "host.example"])
    basic = base64.b64encode(b"me:pass/word1").decode()
    assert basic not in redact(f"Proxy-Authorization: Basic {basic}")


def test_the_environment_gives_its_own():
    register_environment({"AZURE_CLIENT_SECRET": "s3cret~value", "HTTPS_PROXY": "http://u:open-sesame@proxy:1"})
    assert redact("s3cret~value open-sesame proxy:1") == f"{secrets.HIDDEN} {secrets.HIDDEN} proxy:1"


def test_every_part_of_a_json_value_is_filtered():
    register(LONG)
    assert redacted({"a": [f"x{LONG}"], LONG: (1, None)}) == {"a": [f"x{secrets.HIDDEN}"], secrets.HIDDEN: [1, None]}


def test_an_error_has_no_secret_whichever_way_it_is_shown():
    register(LONG)
    error = DogclsError(f"the key {LONG} is wrong", f"Change {LONG}.")
    assert LONG not in f"{error} {error!r} {error.message} {error.cure} {error.args}"


def test_whoever_holds_a_key_registers_it(monkeypatch, tmp_path):
    Endpoint("https://x.openai.azure.com", "key-of-an-endpoint")
    Embedded("http://127.0.0.1:1", "http://127.0.0.1:1", "key-of-the-emulator", "d", "b", "s", "g", "a", 1)
    (tmp_path / "settings.toml").write_text(
        '[profiles.x]\nendpoint = "https://x.openai.azure.com"\napi_key = " key-of-a-profile\\n"\n'
    )
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "key-of-the-environment\r\n")
    load_settings(tmp_path)
    for key in ("key-of-an-endpoint", "key-of-the-emulator", "key-of-a-profile", "key-of-the-environment"):
        assert redact(f"<{key}>") == f"<{secrets.HIDDEN}>"


def test_the_store_gets_no_secret(store):
    register(LONG)
    (job,) = add_jobs(store, NewJob("batch", {}))
    store.jobs.log(job, f"waiting: header {LONG}")
    store.jobs.change(job, JobState.FAILED, expected=tuple(JobState), message=f"failed: {LONG}", error=f"no: {LONG}")
    store.db.close()
    data = b"".join(path.read_bytes() for path in store.db.path.parent.glob("store.db*"))
    assert b"failed: " in data and LONG.encode() not in data


def test_streams_are_filtered_and_stay_streams(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    register(LONG)
    secrets.guard_streams()
    secrets.guard_streams()  # twice is once
    print("key", LONG, flush=True)
    sys.stdout.writelines([f"{LONG}\n"])
    assert out.getvalue() == f"key {secrets.HIDDEN}\n{secrets.HIDDEN}\n"
    assert sys.stdout.isatty() is False
    assert sys.stdout.encoding == out.encoding


def test_a_traceback_of_a_process_has_no_secret():
    code = (
        "from engine.secrets import guard_streams, register\n"
        f"guard_streams(); register('{LONG}')\n"
        f"raise ValueError('Illegal header value ' + '{LONG[:9]}' + '{LONG[9:]}')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 1
    assert f"ValueError: Illegal header value {secrets.HIDDEN}" in done.stderr
    assert LONG not in done.stderr


@pytest.mark.parametrize(
    "around", ["{} ", "{}\n", "{}\r\n", '"{}"', "'{}'", "“{}”", "\ufeff{}", " \t'{}' \n", "\u200b{}"]
)
def test_a_pasted_key_is_used_without_what_is_around_it(around):
    assert clean_key(around.format(LONG)) == LONG


@pytest.mark.parametrize(("inside", "what"), [("–", "en dash"), (" ", "space"), ("\n", "U\\+000A"), ("é", "letter e")])
def test_a_key_with_a_strange_character_is_refused_by_name_and_not_shown(inside, what):
    with pytest.raises(ConfigurationError, match=f"(?i)^AZURE_OPENAI_API_KEY: character 5 .*{what}") as caught:
        clean_key(f"{LONG[:4]}{inside}{LONG[4:]}")
    assert LONG[4:] not in str(caught.value) and LONG[:4] not in str(caught.value)


@pytest.mark.parametrize("empty", [None, "", "  ", "''", '""'])
def test_an_empty_key_is_none(empty):
    assert clean_key(empty) is None


class Credential:
    """A way of signing in; `token` None: it has none."""

    def __init__(self, token):
        self.token, self.calls = token, 0

    async def get_token(self, *_, **__):
        self.calls += 1
        if self.token is None:
            raise ClientAuthenticationError("no way in")
        return AccessToken(self.token, 2**31)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


@pytest.mark.parametrize(("first", "last", "calls"), [("token-1", "token-2", (1, 0)), (None, "token-2", (1, 1))])
async def test_the_machines_own_identity_is_the_last_way_in_and_tokens_are_secret(first, last, calls):
    ways = Credential(first), Credential(last)
    async with _SignIn(*ways) as sign_in:
        token = await sign_in.get_token("scope")
    assert token.token == (first or last)
    assert (ways[0].calls, ways[1].calls) == calls
    assert redact(f"Bearer {token.token}") == f"Bearer {secrets.HIDDEN}"


async def test_without_any_way_in_the_first_ones_reason_is_raised():
    with pytest.raises(ClientAuthenticationError, match="no way in"):
        async with _SignIn(Credential(None), Credential(None)) as sign_in:
            await sign_in.get_token("scope")
