"""The call to a tuned deployment, as code that can be pasted. It never holds a key."""

from __future__ import annotations

import json
import re
from pprint import pformat

from engine.datasets.prompt import Prompt
from engine.errors import NotFoundError
from engine.jobs import service
from engine.jobs.paths import Home
from engine.states import JobKind
from engine.store import Store

_CURL = """\
# curl: prints the answer about IMAGE.jpg
IMAGE=$(base64 < IMAGE.jpg | tr -d '\\n')
curl -s "{url}" \\
  -H "api-key: $AZURE_OPENAI_API_KEY" -H "Content-Type: application/json" \\
  -d @- <<EOF
{body}
EOF
"""
_URL = "data:image/jpeg;base64,"
_PYTHON = """\
# Python: pip install openai
import base64, os, pathlib
from openai import {client}

client = {client}({options}, api_key=os.environ["AZURE_OPENAI_API_KEY"])
image = base64.b64encode(pathlib.Path("IMAGE.jpg").read_bytes()).decode()
answer = client.chat.completions.create(
    model={model!r},
    {arguments},
)
print(answer.choices[0].message.content)
"""


def sample_code(store: Store, home: Home, experiment: str) -> str:
    """Return the call to an experiment's tuned deployment, as curl and as Python.

    Raises:
        NotFoundError: the experiment has deployed nothing.

    """
    job = next((v for v in store.jobs.views(experiment) if v.kind == JobKind.DEPLOY and v.state == "succeeded"), None)
    if job is None:
        raise NotFoundError(f"Experiment {experiment!r} has no deployment.", "Fine-tune and deploy first.")
    stored = store.jobs.get(job.id)
    name = str((stored.result or {})["deployment"])
    p = stored.parameters
    place = service.endpoint_of(home, stored)
    labels = store.datasets.get(str(p["dataset"])).labels if p.get("dataset") else ("…",)
    prompt = Prompt.of(p)
    base = place.endpoint.rstrip("/")
    if place.is_v1:
        url, client, options = f"{base}/chat/completions", "OpenAI", f"base_url={base!r}"
    else:
        url = f"{base}/openai/deployments/{name}/chat/completions?api-version={place.api_version}"
        client, options = "AzureOpenAI", f"azure_endpoint={base!r}, api_version={place.api_version!r}"
    request = prompt.request(name, labels, f"{_URL}IMAGE")
    body = json.dumps(request, indent=1, ensure_ascii=False)
    # The shell reads the here-document, so that it can put the image in; nothing else in it is the shell's.
    shell = re.sub(r"([\\`$])", r"\\\1", body).replace(f'"{_URL}IMAGE"', f'"{_URL}$IMAGE"')
    curl = _CURL.format(url=url, body=shell)
    arguments = [f"{key}={pformat(request[key], width=110, sort_dicts=False)}" for key in request if key != "model"]
    given = ",\n".join(arguments).replace("\n", "\n    ").replace(f"'{_URL}IMAGE'", f'f"{_URL}{{image}}"')
    python = _PYTHON.format(client=client, options=options, model=name, arguments=given)
    return f"{curl}\n{python}"
