"""How fast the emulator answers chat requests: `python -m tests.benchmarks.emulator [--seconds 5]`.

With the brain off, against a bare Starlette application that parses the same requests and sends an answer of
the same size, served the same way. With the brain on, against the model alone on pictures that are decoded
already. All in one run, in turn, on the same machine; the callers share its cores with what they measure.
"""

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from itertools import cycle
from pathlib import Path

import numpy as np

from tests.pictures import KENNEL, kennel

CONNECTIONS = 32
BARE = """
import json, socket, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from engine.emulator.connection import Connection

ANSWER = json.loads(sys.argv[1])

async def chat(request):
    await request.json()
    return JSONResponse(ANSWER)

listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
app = Starlette(routes=[Route("/openai/deployments/{d}/chat/completions", chat, methods=["POST"])])
config = uvicorn.Config(app, http=Connection, log_level="warning", lifespan="off")
uvicorn.Server(config).run(sockets=[listener])
"""


def request_bytes(deployment, key, body):
    data = json.dumps(body).encode()
    head = (
        f"POST /openai/deployments/{deployment}/chat/completions?api-version=2025-04-01-preview HTTP/1.1\r\n"
        f"host: x\r\napi-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def bodies(folder):
    """Return one request for each of many drawn pictures."""
    system = f"Classify the following input image into one of the following categories: [{', '.join(KENNEL)}]."
    found = []
    for path in sorted(folder.glob("*/*.jpg")):
        url = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
        content = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
        found.append({"messages": [{"role": "system", "content": system}, {"role": "user", "content": content}]})
    return found


async def ask(port, requests, seconds):
    """Ask over some connections, one request after another on each; return requests a second."""
    until = time.perf_counter() + seconds
    supply, count = cycle(requests), 0

    async def caller():
        nonlocal count
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until:
            writer.write(next(supply))
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            count += 1
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
    return count / (time.perf_counter() - start)


def emulator(state, cache, *options):
    command = [sys.executable, "-P", "-m", "engine.emulator", "--state", str(state), "--cache", str(cache)]
    process = subprocess.Popen([*command, "--speed", "instant", *options], stdout=subprocess.PIPE)
    return process, json.loads(process.stdout.readline())


def model_alone(cache, folder, seconds):
    """Return how many decoded pictures a second the model looks at, at its best batch size."""
    from engine.backbones import load_backbone, pixels

    backbone = load_backbone(cache / "backbones")
    pictures = np.stack([pixels(path) for path in sorted(folder.glob("*/*.jpg"))[:64]])
    best = 0.0
    for size in (1, 2, 4, 8, 16, 32):
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / 6:
            backbone.features(pictures[(count % 32) : (count % 32) + size])
            count += size
        best = max(best, count / (time.perf_counter() - start))
    return best


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    seconds, rounds = vars(parser.parse_args()).values()
    with tempfile.TemporaryDirectory() as place:
        folder = kennel(Path(place) / "dogs", 64)
        asked = bodies(folder)
        cache = Path(place) / "cache"
        blind, blind_line = emulator(Path(place) / "blind", cache, "--no-brain")
        seeing, seeing_line = emulator(Path(place) / "seeing", cache)
        try:
            first = urllib.request.Request(
                f"{blind_line['endpoint']}/openai/v1/chat/completions",
                json.dumps({**asked[0], "model": "gpt-4o"}).encode(),
                {"api-key": blind_line["api_key"], "content-type": "application/json"},
            )
            with urllib.request.urlopen(first) as answer:
                text = answer.read().decode()
            bare = subprocess.Popen([sys.executable, "-c", BARE, text], stdout=subprocess.PIPE)
            bare_port = int(bare.stdout.readline())
            try:
                measure(blind_line, seeing_line, bare_port, asked, cache, folder, seconds, rounds)
            finally:
                bare.kill()
        finally:
            blind.kill()
            seeing.kill()


def measure(blind, seeing, bare_port, asked, cache, folder, seconds, rounds):
    def rate(line, port=None):
        requests = [request_bytes("gpt-4o", line["api_key"], body) for body in asked]
        return asyncio.run(ask(port or int(line["endpoint"].rpartition(":")[2]), requests, seconds))

    rate(seeing)  # loads the model
    rows = {"bare Starlette": [], "emulator, brain off": [], "model alone": [], "emulator, brain on": []}
    for _ in range(rounds):
        rows["bare Starlette"].append(rate(blind, bare_port))
        rows["emulator, brain off"].append(rate(blind))
        rows["model alone"].append(model_alone(cache, folder, seconds))
        rows["emulator, brain on"].append(rate(seeing))
    median = {name: float(np.median(found)) for name, found in rows.items()}
    size = len(json.dumps(asked[0]))
    print(f"requests a second, {CONNECTIONS} at once, of about {size:,} bytes; medians of {rounds}")
    for name, found in rows.items():
        print(f"  {name:<22} {median[name]:>8.1f}   ({', '.join(f'{value:.1f}' for value in found)})")
    print(f"  brain off / bare        {median['emulator, brain off'] / median['bare Starlette']:>8.2f}")
    print(f"  brain on / model alone  {median['emulator, brain on'] / median['model alone']:>8.2f}")


if __name__ == "__main__":
    main()
