"""Clients that end in the middle of a request."""

import json
import socket
import subprocess
import sys

from tests.conftest import Emulator


def test_a_client_that_goes_in_mid_upload_is_no_error(tmp_path):
    """A killed worker leaves half of an upload: no traceback in the log, and the next one is served."""
    log = tmp_path / "log"
    emulator = Emulator.__new__(Emulator)
    emulator.command = [sys.executable, "-P", "-m", "engine.emulator", "--state", str(tmp_path / "state")]
    emulator.command += ["--cache", str(tmp_path / "cache"), "--speed", "instant", "--no-brain"]
    with log.open("wb") as errors:
        emulator.process = subprocess.Popen(emulator.command, stdout=subprocess.PIPE, stderr=errors)
    emulator.__dict__.update(json.loads(emulator.process.stdout.readline()))
    try:
        body = b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
        head = f"POST /openai/v1/files HTTP/1.1\r\nhost: x\r\napi-key: {emulator.api_key}\r\n"
        head += "content-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(emulator.endpoint.rpartition(":")[2]))) as client:
            client.sendall(head.encode() + body)
        assert emulator.ledger()["batches"] == []
    finally:
        emulator.stop()
    assert b"Traceback" not in log.read_bytes()
