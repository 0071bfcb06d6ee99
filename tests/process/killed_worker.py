"""Workers that stand at an await point and are killed there, or are asked for something there.

    python -m tests.process.killed_worker

Reads one JSON object a line, forks a worker of it, and answers with its exit status:

    arguments   the worker's own
    log         a file for what it prints
    at          [[key, when, action, hit], ...]: at the hit-th time that it is before or after a point,
                `kill` it; leave the request `cancel` or `pause`; leave one when the fine-tuning job runs
                (`cancel-running`, `pause-running`) or has a step (`cancel-training`); end the emulator's
                faults (`calm`); refuse a batch as a region does that answers for its quota at once (`full`),
                which the emulator does not;
                refuse a call for good (`refused`); upload another's training file (`stranger`); delete the
                deployment of a job (`undeploy`); make one of its name and of another model (`other-model`);
                wait while the file `hold` is there (`hold`), so that another process can act meanwhile
    record      a file for the points that it comes by, or null
    values      constants of modules that are to be others
    hold        the file for `hold`
    command     instead of all of these: arguments of `dogcls-tui`, which is run instead of a worker

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
import types
import urllib.request
from pathlib import Path


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
            os._exit(command(order) if "command" in order else worker(order))
        _, status = os.waitpid(pid, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


def command(order):
    """Be one command of a shell; return its exit status."""
    from tui.main import main

    _redirect(order["log"])
    sys.argv = ["dogcls-tui", *order["command"]]
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _redirect(path):
    os.setsid()
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)


def worker(order):
    """Be one worker; return its exit status. It starts no other worker: the harness does."""
    from engine.jobs import scheduler

    _redirect(order["log"])
    scheduler.detach = lambda *_, **__: types.SimpleNamespace(pid=os.getpid())
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
    if running == "running":
        until = time.monotonic() + 20
        while ask("GET", "/openai/v1/fine_tuning/jobs?limit=1")["data"][0]["status"] != "running":
            assert time.monotonic() < until
            time.sleep(0.02)
    if running == "training":
        wait_for_a_step()
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "full":
        from engine.azure.batches import QuotaFull

        raise QuotaFull("The quota of enqueued tokens is full.", 200)
    elif what == "hold":
        hold(Path(order["hold"]))
    elif what == "refused":
        from engine.errors import ServiceError

        raise ServiceError("The resource has no quota for another deployment.", status=400)
    elif what == "stranger":
        upload()
    elif what == "undeploy":
        undeploy()
    elif what == "other":
        deploy_other(order["arguments"])
    elif what == "calm":
        ask("PATCH", "/emulator/settings", {"faults": None})
    else:
        request(order["arguments"], what)


def ask(method, path, body=None):
    """Ask the emulator, as the harness does."""
    key = os.environ["AZURE_OPENAI_API_KEY"]
    headers = {"api-key": key, "authorization": f"Bearer {key}", "content-type": "application/json"}
    url = os.environ["AZURE_OPENAI_ENDPOINT"] + path
    call = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(call, timeout=20) as answer:
        return json.loads(answer.read() or "null")


def upload():
    line = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    content = "\n".join([json.dumps(line)] * 10)
    parts = [("purpose", "", "fine-tune"), ("file", '; filename="stranger.jsonl"', content)]
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="{n}"{f}\r\n\r\n{v}\r\n' for n, f, v in parts)
    headers = {"api-key": os.environ["AZURE_OPENAI_API_KEY"], "content-type": "multipart/form-data; boundary=x"}
    url = os.environ["AZURE_OPENAI_ENDPOINT"] + "/openai/v1/files"
    urllib.request.urlopen(urllib.request.Request(url, f"{body}--x--\r\n".encode(), headers), timeout=20).close()


def wait_for_a_step():
    job = ask("GET", "/openai/v1/fine_tuning/jobs?limit=1")["data"][0]["id"]
    until = time.monotonic() + 20
    while not any(
        event["message"].startswith("Step ")
        for event in ask("GET", f"/openai/v1/fine_tuning/jobs/{job}/events?limit=100")["data"]
    ):
        assert time.monotonic() < until
        time.sleep(0.02)


def deployments():
    place = f"/subscriptions/{os.environ['AZURE_SUBSCRIPTION_ID']}/resourceGroups/{os.environ['AZURE_RESOURCE_GROUP']}"
    return place + f"/providers/Microsoft.CognitiveServices/accounts/{os.environ['AZURE_OPENAI_ACCOUNT']}/deployments"


def deploy_other(arguments):
    from engine.jobs.paths import Home
    from engine.store import Store

    store = Store(Home(Path(arguments[1])).store)
    name = f"dogcls-{store.jobs.get(int(arguments[2])).nonce}"
    store.close()
    model = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-08-06"}
    wanted = {"sku": {"name": "GlobalStandard", "capacity": 1}, "properties": {"model": model}}
    ask("PUT", f"{deployments()}/{name}?api-version=2024-10-01", wanted)


def undeploy():
    place = deployments()
    for found in ask("GET", f"{place}?api-version=2024-10-01")["value"]:
        if found["name"].startswith("dogcls-"):
            ask("DELETE", f"{place}/{found['name']}?api-version=2024-10-01")


def hold(file):
    """Wait until the harness has acted, then notice at once what it has requested."""
    file.touch()
    until = time.monotonic() + 120
    while file.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    notice()


def notice():
    """Let the worker read what is requested of it now, not at its next heartbeat."""
    from engine.jobs.context import Context

    for one in gc.get_objects():
        if type(one) is Context:
            one.flush()


def request(arguments, what):
    """Leave a request in the store, as a user does, and let the worker notice it now."""
    from engine.jobs.paths import Home
    from engine.states import Request
    from engine.store import Store

    store = Store(Home(Path(arguments[1])).store)
    store.jobs.ask(int(arguments[2]), Request(what))
    store.close()
    notice()


if __name__ == "__main__":
    serve()
