"""How close real-time scoring comes to what a deployment's quota allows: `python -m tests.benchmarks.scoring`.

600 questions about drawn pictures to an emulator in a process of its own (no brain, 1.5 s an answer, a minute of
60 s), with a deployment that each run makes anew. Capacity 1 is 1,000 tokens and 6 requests a minute; requests are
counted in windows of a sixth of a minute. With N requests of c tokens, latency L and C requests at a time:

    even   = N / min(requests a minute / 60, tokens a minute / 60 / c, C / L) + L
             what a client takes that spreads its requests evenly and is never refused
    least  = what a client takes that knows the windows and empties each in one burst, C at a time; Azure's windows
             are 1 to 10 s long, and refuse such bursts where they are the shorter ones

Told are the seconds that it took, both ratios, how many requests were refused by 429, and what the emulator's
ledger has been paid for.
"""

import argparse
import asyncio
import heapq
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from engine.azure import chat
from engine.azure.connection import Azure, Endpoint
from engine.azure.pace import Pace
from tests.benchmarks.emulator import bodies
from tests.pictures import kennel

LATENCY = 1.5
MINUTE = 60.0
WINDOW = 10.0
RUNS = {  # name: capacity, requests at a time, tokens that are added to each prompt
    "few requests a minute": (100, 64, 0),
    "few tokens a minute": (100, 64, 250),
    "ample": (10_000, 64, 0),
}


def call(line, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {line['api_key']}", "content-type": "application/json"}
    request = urllib.request.Request(line["endpoint"] + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def deploy(line, name, capacity):
    account = (
        f"/subscriptions/{line['subscription']}/resourceGroups/{line['resource_group']}"
        f"/providers/Microsoft.CognitiveServices/accounts/{line['account']}/deployments/{name}?api-version=2024-10-01"
    )
    model = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-08-06"}
    call(
        line, "PUT", account, {"sku": {"name": "GlobalStandard", "capacity": capacity}, "properties": {"model": model}}
    )
    while call(line, "GET", account)["properties"]["provisioningState"] != "Succeeded":
        time.sleep(0.05)


def even(count, tokens, capacity, at_once):
    return count / min(capacity * 6 / MINUTE, capacity * 1000 / MINUTE / tokens, at_once / LATENCY) + LATENCY


def least(count, tokens, capacity, at_once):
    """Send each request as soon as both windows and a free place allow; both windows start with their first one."""
    free, windows = [0.0] * at_once, {WINDOW: [0.0, 0, capacity], MINUTE: [0.0, 0, capacity * 1000 // tokens]}
    at = 0.0
    for _ in range(count):
        at = max(at, heapq.heappop(free))
        while True:
            for length, window in windows.items():
                if at >= window[0] + length:
                    window[:2] = at, 0
            full = [window[0] + length for length, window in windows.items() if window[1] >= window[2]]
            if not full:
                break
            at = max(full)
        for window in windows.values():
            window[1] += 1
        heapq.heappush(free, at + LATENCY)
    return max(free)


async def measure(line, name, asked, count, at_once):
    """Score; return seconds, answers, refusals, tokens that a request took."""
    answers = []
    pace = Pace(at_once)
    async with Azure(Endpoint(line["endpoint"], line["api_key"])) as azure:
        await chat.warm_up(azure, name)
        start = time.perf_counter()
        await chat.score(
            azure,
            name,
            ((f"image-{n}", lambda n=n: asked[n % len(asked)]) for n in range(count)),
            concurrency=at_once,
            on_answer=lambda answer, _: answers.append(answer),
            stop=lambda: False,
            pace=pace,
        )
        seconds = time.perf_counter() - start
    assert len({answer.custom_id for answer in answers}) == len(answers)
    return seconds, answers, pace.refused


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--only", choices=RUNS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        asked = bodies(kennel(Path(place) / "dogs", 16))
        command = [sys.executable, "-P", "-m", "engine.emulator", "--state", f"{place}/state", "--speed", "instant"]
        command += ["--no-brain", "--quota-minute", str(MINUTE), "--fault", f"latency={LATENCY * 1000}"]
        process = subprocess.Popen([*command, "--cache", f"{place}/cache"], stdout=subprocess.PIPE)
        try:
            line = json.loads(process.stdout.readline())
            print(f"{options.count} requests, {LATENCY:g} s each")
            for number, (title, (capacity, at_once, more)) in enumerate(RUNS.items()):
                if options.only in (None, title):
                    run(line, f"run-{number}", title, asked, options.count, capacity, at_once, more)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def run(line, name, title, asked, count, capacity, at_once, more):
    padding = {"role": "system", "content": "word" * more}
    longer = [{**body, "messages": [padding, *body["messages"]]} if more else body for body in asked]
    deploy(line, name, capacity)
    seconds, answers, refused = asyncio.run(measure(line, name, longer, count, at_once))
    good = sum(answer.error is None for answer in answers)
    charged = sum(answer.prompt_tokens for answer in answers) / len(answers) + chat.ASSUMED_ANSWER
    paid = call(line, "GET", "/emulator/ledger")["chat_requests"]["by_deployment"].get(name)
    evenly, soonest = (f(count, round(charged), capacity, at_once) for f in (even, least))
    print(f"  {title}: {capacity * 6:,} requests and {capacity * 1000:,} tokens a minute, {at_once} at a time")
    print(
        f"    {seconds:6.1f} s;  even {evenly:.1f} s: ×{seconds / evenly:.3f};  least {soonest:.1f} s: ×{seconds / soonest:.3f}"
    )
    first = [answer.first_ms for answer in answers if answer.first_ms is not None]
    print(f"    {refused} refused by 429; {good} answered, {count - len(answers)} lost; the ledger has {paid}")
    print(f"    {charged:.0f} tokens a request; {len(first)} answered at the first attempt")


if __name__ == "__main__":
    main()
