"""Workers that stand at an await point and are killed there, or are asked for something there.

    python -m tests.process.killed_worker

Reads one JSON object a line, forks a worker of it, and answers with its exit status:

    arguments   the worker's own
    log         a file for what it prints
    at          [[key, when, action, hit], ...]: at the hit-th time that it is before or after a point,
                `kill` it; leave the request `cancel` or `pause`; leave one when the fine-tuning job runs
                (`cancel-running`, `pause-running`); end the emulator's faults (`calm`); refuse a batch as
                a region does that answers for its quota at once (`full`), which the emulator does not
    record      a file for the points that it comes by, or null
    values      constants of modules that are to be others

A fork has everything heavy imported already, and nothing of what is watched, so a worker starts in a moment.
"""

import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback
import urllib.request


def serve():
    # ruff: noqa: F401
    import azure.mgmt.cognitiveservices.aio
    import openai.resources.batches
    import openai.resources.chat
    import openai.resources.files
    import openai.resources.fine_tuning
    import PIL.Image

    import engine.jobs.worker
    import tests.process.points

    PIL.Image.init()
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(worker(order))
        _, status = os.waitpid(pid, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def worker(order):
    """Be one worker; return its exit status."""
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        watch(order)
        from engine.jobs.worker import main

        return main(order["arguments"])
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def watch(order):
    from tests.process.points import Watch

    if not order["at"] and not order["record"] and not order["values"]:
        return  # an ordinary worker
    record = order["record"] and os.open(order["record"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    hits = {}

    def at(key, when):
        hits[key, when] = count = hits.get((key, when), 0) + 1
        if record is not None and count == 1:
            os.write(record, f"{key} {when}\n".encode())
        for where, moment, action, hit in order["at"]:
            if (where, moment, hit) == (key, when, count):
                act(order, action)

    watched = Watch(at, order["values"])
    watched.install()
    for name, value in order["values"].items():  # of modules that are not watched, too
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(module), constant, value)


def act(order, action):
    what, _, running = action.partition("-")
    if running:
        until = time.monotonic() + 20
        while ask("GET", "/openai/v1/fine_tuning/jobs?limit=1")["data"][0]["status"] != "running":
            assert time.monotonic() < until
            time.sleep(0.02)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "full":
        from engine.azure.batches import QuotaFull

        raise QuotaFull("The quota of enqueued tokens is full.", 200)
    elif what == "calm":
        ask("PATCH", "/emulator/settings", {"faults": None})
    else:
        request(order["arguments"], what)


def ask(method, path, body=None):
    """Ask the emulator, as the harness does."""
    headers = {"api-key": os.environ["AZURE_OPENAI_API_KEY"], "content-type": "application/json"}
    url = os.environ["AZURE_OPENAI_ENDPOINT"] + path
    call = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(call, timeout=20) as answer:
        return json.loads(answer.read() or "null")


def request(arguments, what):
    """Leave a request in the store, as a user does, and let the worker notice it now, not at its next heartbeat."""
    from pathlib import Path

    from engine.jobs.context import Context
    from engine.jobs.paths import Home
    from engine.states import Request
    from engine.store import Store

    store = Store(Home(Path(arguments[1])).store)
    store.jobs.ask(int(arguments[2]), Request(what))
    store.close()
    for one in gc.get_objects():
        if type(one) is Context:
            one.flush()


if __name__ == "__main__":
    serve()
