"""A publisher of data sets: a server of this machine, and layouts that point there."""

from __future__ import annotations

import dataclasses
import gzip
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from engine.data.layout import Archive, Layout
from tests.data.formats import Written, md5


class Server:
    """Serves bytes by path, until it is closed.

    Attributes:
        files: what it has.
        asked: the paths it was asked for, in their order.
        cut: paths whose answer breaks off halfway.
        stuck: the path whose answer stops after two thirds, until the server is closed; ``halfway`` is then set.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut: set[str] = set()
        self.stuck = ""
        self.halfway = threading.Event()
        self._over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.path == outer.stuck:
                    self.wfile.write(body[: len(body) * 2 // 3])
                    outer.halfway.set()
                    outer._over.wait(60)
                else:
                    self.wfile.write(body[: len(body) // 2] if self.path in outer.cut else body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def close(self) -> None:
        self._over.set()
        self.http.shutdown()
        self.http.server_close()
        self._thread.join()


def tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def publish(name: str, server: Server, written: Written) -> dict[str, tuple[Layout, ...]]:
    """Put a written set on the server as its publisher has it; layouts that point there."""
    layout = written.layouts[name][0]
    archives = []
    for archive in layout.archives:
        data = {file: (written.folder / file).read_bytes() for file in archive.provides}
        if archive.kind == "tar":
            packed = tar({f"{written.folder.name}/{file}": content for file, content in data.items()})
        else:
            (only,) = data.values()
            packed = gzip.compress(only) if archive.kind == "gzip" else only
        path = "/" + archive.urls[0].rsplit("/", 1)[-1]
        server.files[path] = packed
        archives.append(Archive((server.address + path,), md5(packed), archive.kind, archive.provides))
    return {name: (dataclasses.replace(layout, archives=tuple(archives)),)}
