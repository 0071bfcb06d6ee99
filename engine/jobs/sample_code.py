"""The call to a tuned deployment, as code that can be pasted. It never holds a key."""

from __future__ import annotations

import json
import re

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
_PYTHON = """\
# Python: pip install openai
import base64, os
from openai import {client}

client = {client}({options}, api_key=os.environ["AZURE_OPENAI_API_KEY"])
image = base64.b64encode(open("IMAGE.jpg", "rb").read()).decode()
answer = client.chat.completions.create(
    model={model!r},
    messages=[
        {{"role": "system", "content": {system}}},
        {{"role": "user", "content": [{{"type": "image_url", "image_url": {{
            "url": f"data:image/jpeg;base64,{{image}}", "detail": {detail!r}}}}}]}},
    ],
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
    place = service.endpoint(home, str(p["profile"]))
    labels = store.datasets.get(str(p["dataset"])).labels if p.get("dataset") else ("…",)
    prompt = Prompt(str(p["prompt"]), "text", p["detail"])
    base = place.endpoint.rstrip("/")
    if place.is_v1:
        url, client, options = f"{base}/chat/completions", "OpenAI", f"base_url={base!r}"
    else:
        url = f"{base}/openai/deployments/{name}/chat/completions?api-version={place.api_version}"
        client, options = "AzureOpenAI", f"azure_endpoint={base!r}, api_version={place.api_version!r}"
    body = json.dumps(prompt.request(name, labels, "data:image/jpeg;base64,IMAGE"), indent=1, ensure_ascii=False)
    # The shell reads the here-document, so that it can put the image in; nothing else in it is the shell's.
    shell = re.sub(r"([\\`$])", r"\\\1", body).replace("base64,IMAGE", "base64,$IMAGE")
    curl = _CURL.format(url=url, body=shell)
    system = json.dumps(prompt.render(labels), ensure_ascii=False)
    python = _PYTHON.format(client=client, options=options, model=name, system=system, detail=p["detail"])
    return f"{curl}\n{python}"
