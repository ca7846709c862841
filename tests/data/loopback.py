"""A real HTTP server on the loopback, with byte ranges, that can break off."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Server:
    """Serves ``folder``; ``requests`` keeps (path, Range header); ``cut`` breaks off after so many bytes."""

    folder: Path
    address: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cut: int | None = None
    ranges: bool = True


@contextlib.contextmanager
def serving(state: Server) -> Iterator[Server]:
    """The server, running."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.requests.append((self.path, asked))
            file = state.folder / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            content = file.read_bytes()
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and state.ranges else 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:][: state.cut])

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{running.server_port}/"
    thread = threading.Thread(target=running.serve_forever, args=(0.02,))
    thread.start()
    yield state
    running.shutdown()
    thread.join()
    running.server_close()
