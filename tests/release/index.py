"""A package index on this machine: ours by PEP 503, all other distributions from the real one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

PYPI = "https://pypi.org/simple"


def name_of(file: Path) -> str:
    """Return the normalised name of the distribution that a wheel or an sdist is of."""
    stem = file.name.removesuffix(".tar.gz").removesuffix(".whl")
    return re.sub(r"[-_.]+", "-", re.split(r"-(?=\d)", stem)[0]).lower()


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the files of a folder as an index; yield its address."""
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        files.setdefault(name_of(file), []).append(file)

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = [part for part in self.path.split("/") if part]
            if len(parts) == 2 and parts[0] == "simple":
                self._page(parts[1])
            elif len(parts) == 2 and parts[0] == "files" and (folder / parts[1]).is_file():
                self._send((folder / parts[1]).read_bytes(), "application/octet-stream")
            else:
                self.send_error(404)

        def _page(self, name: str) -> None:
            if name not in files:  # what is not ours is the real index's
                self.send_response(302)
                self.send_header("Location", f"{PYPI}/{quote(name)}/")
                self.end_headers()
                return
            links = [f'<a href="/files/{each.name}">{each.name}</a>' for each in files[name]]
            self._send("\n".join(["<!DOCTYPE html>", *links]).encode(), "text/html")

        def _send(self, content: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
