"""Every page with its sample, served over HTTP under the policy of production.

``python -m tests.web.preview`` from the repository's root prints the address of an index.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.web.samples import PAGES
from web.assets import Assets
from web.templating import STATIC, build_environment, render

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)


class PreviewServer(ThreadingHTTPServer):
    """Serves samples at /show/<name>; keeps the forms that were posted."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        self.assets = Assets(STATIC)
        self.files = {asset.url: asset for asset in self.assets}
        self.env = build_environment(self.assets)
        self.posted: list[tuple[str, dict[str, list[str]]]] = []
        self.news = threading.Condition()
        self.sequence = 48210
        self.stopping = False
        super().__init__(("127.0.0.1", port), _Handler)

    def announce(self, *, stop: bool = False) -> None:
        """Tell every open page that something changed."""
        with self.news:
            self.sequence += not stop
            self.stopping = stop
            self.news.notify_all()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running(port: int = 0) -> Iterator[PreviewServer]:
    server = PreviewServer(port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.announce(stop=True)
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: PreviewServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        asset = self.server.files.get(path)
        if asset:
            return self._send(asset.body, asset.media_type)
        if path == "/events":
            return self._stream()
        if path == "/":
            return self._send("".join(f'<p><a href="/show/{n}">{n}</a>' for n in PAGES).encode(), "text/html")
        name = path.removeprefix("/show/") if path.startswith("/show/") else path.strip("/")
        if name not in PAGES:
            return self._send(b"", "text/plain", 404)
        template, context = PAGES[name]
        if "shell" in context:
            partial = self.headers.get("HX-Request-Type") == "partial"
            context = {**context, "shell": replace(context["shell"], partial=partial)}
        return self._send(render(self.server.env, template, context).encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        self.server.posted.append((self.path, parse_qs(body, keep_blank_values=True)))
        self.send_response(303)
        self.send_header("Location", f"/show/{urlsplit(self.headers.get('Referer', '')).path.rpartition('/')[2]}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        seen = self.server.sequence
        with suppress(ConnectionError):
            while not self.server.stopping:
                with self.server.news:
                    if self.server.sequence == seen:
                        self.server.news.wait(timeout=5)
                if self.server.sequence == seen:
                    self.wfile.write(b": beat\n\n")
                    continue
                seen = self.server.sequence
                self.wfile.write(f"id: {seen}\nevent: payments-changed\ndata:\n\n".encode())

    def _send(self, body: bytes, media_type: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    with running(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as preview:
        sys.stdout.write(f"{preview.address}\n")
        sys.stdout.flush()
        threading.Event().wait()
