"""A small stand-in for the emulator's own addresses, on a real socket: what it is asked, and what it says."""

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from engine.jobs.process import start_time

KEY = "sesame-0123456789"
OFF = {
    "latency": None, "calls": [], "lost_lines": 0.0, "all_failed": False, "empty_error_file": False,
    "fail_batch": None, "skipped_images": 0.0, "fail_training": False, "clock_offset": 0.0,
}  # fmt: skip


def merged(old, change):
    """Apply a merge patch (RFC 7396)."""
    if not isinstance(old, dict) or not isinstance(change, dict):
        return change
    result = dict(old)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class Stub:
    """What it has been told, and is asked."""

    def __init__(self):
        self.changes = {}
        self.asked = []
        self.refusal = None
        self.status = 200
        self.raw = None
        self.wait = threading.Event()
        self.wait.set()
        self.ledger = {}

    def settings(self):
        faults = OFF | self.changes.get("faults", {})
        active = [name for name in OFF if faults[name] != OFF[name]]
        return {
            "speed": "fast",
            "brain": True,
            "quota_minute": None,
            **self.changes,
            "faults": faults,
            "active": active,
        }

    def answer(self, method, path, key, body):
        self.asked.append((method, path, body))
        self.wait.wait(20)
        if key != KEY:
            return 401, {"error": {"code": "401", "message": "who are you"}}
        if self.status != 200:
            return self.status, {"error": {"code": str(self.status), "message": "not now"}}
        if path == "/emulator/health":
            return 200, {
                "status": "ok",
                "emulator": True,
                "speed": "fast",
                "under_way": 2,
                "active": self.settings()["active"],
            }
        if path == "/emulator/ledger":
            return 200, self.ledger
        if method == "PATCH":
            if self.refusal:
                return 400, {"error": {"code": "BadRequest", "message": self.refusal}}
            self.changes = merged(self.changes, json.loads(body))
        return 200, self.settings()


@contextmanager
def running(home):
    """Be a home's emulator for a while."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            status, found = stub.answer(self.command, self.path, self.headers.get("api-key"), body)
            data = json.dumps(found).encode() if stub.raw is None else stub.raw
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_PATCH = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    told = {"endpoint": url, "arm_endpoint": url, "api_key": KEY, "deployment": "d", "batch_deployment": "b",
            "subscription": "s", "resource_group": "g", "account": "a", "pid": os.getpid(),
            "started": start_time(os.getpid())}  # fmt: skip
    (home.emulator / "service.json").write_text(json.dumps(told))
    try:
        yield stub
    finally:
        stub.wait.set()
        server.shutdown()
        thread.join()
        server.server_close()
