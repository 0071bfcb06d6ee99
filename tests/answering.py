"""A service that has one answer for every request, on a real socket; also a proxy that records who asks for it."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answering(ThreadingHTTPServer):
    """Attributes: `answer` is (status, content type, body, headers); `requests` what came (method, path, headers);
    `drip` how many bytes are sent at a time, 0 for all."""

    daemon_threads = True

    def __init__(self, answer):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests = []
        self.drip = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _serve(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((self.command, self.path, headers))
        status, kind, body, *more = self.server.answer
        data = body.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        for start in range(0, len(data), self.server.drip or len(data) or 1):
            self.wfile.write(data[start : start + (self.server.drip or len(data))])
            if self.server.drip:
                time.sleep(0.05)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = _serve


@contextmanager
def answering(status=200, kind="application/json", body="{}", *headers):
    """Serve one answer until the end of the block."""
    server = Answering((status, kind, body, *headers))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
