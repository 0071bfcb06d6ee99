"""A reverse proxy before an emulator, on a real socket, that answers something else as a rule has it."""

import http.client
import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Proxy:
    """`rule(method, path, forward)` returns None to forward, or (status, body, headers), "hang" or "reset".

    `forward()` in a rule returns the service's own (status, body, headers).
    """

    def __init__(self, upstream):
        self.host = urlsplit(upstream).netloc
        self.rule = lambda method, path, forward: None
        self.calls = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def handle_any(self):
                body = self.read()
                proxy.calls.append((self.command, self.path))

                def forward():
                    connection = http.client.HTTPConnection(proxy.host, timeout=60)
                    dropped = ("host", "transfer-encoding", "content-length", "connection")
                    headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    found = answer.status, answer.read(), dict(answer.getheaders())
                    connection.close()
                    return found

                answer = proxy.rule(self.command, self.path.partition("?")[0], forward)
                if answer == "hang":
                    proxy.closed.wait(60)
                if answer in ("hang", "reset"):
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return
                status, data, headers = answer or forward()
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def read(self):
                if "chunked" not in (self.headers.get("transfer-encoding") or ""):
                    return self.rfile.read(int(self.headers.get("content-length") or 0))
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments):
                pass

        self.closed = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def close(self):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def count(self, method, end):
        """Return how many calls of a method there were to paths with this end."""
        return sum(m == method and path.partition("?")[0].endswith(end) for m, path in self.calls)

    def wait_for(self, number, seconds=20):
        """Wait until there were so many calls."""
        until = time.monotonic() + seconds
        while len(self.calls) < number:
            assert time.monotonic() < until
            time.sleep(0.01)
