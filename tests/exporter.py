"""A Prometheus exporter whose series a test or a benchmark sets; real HTTP, in a thread."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Labels = tuple[tuple[str, str], ...]


class Exporter:
    """Serves gauges on a free port of loopback; `address` is host:port. A context manager."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, Labels], float | Callable[[], float]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.page))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def set(
        self, metric: str, labels: Mapping[str, str], value: float | Callable[[], float]
    ) -> None:
        """A value, or what gives one at every scrape."""
        with self._lock:
            self._series[metric, tuple(sorted(labels.items()))] = value

    def drop(self, metric: str, labels: Mapping[str, str]) -> None:
        with self._lock:
            self._series.pop((metric, tuple(sorted(labels.items()))), None)

    def page(self) -> bytes:
        with self._lock:
            series = list(self._series.items())
        lines = [
            f"{name}{{{_render(labels)}}} {value() if callable(value) else value}"
            for (name, labels), value in series
        ]
        return ("\n".join(lines) + "\n").encode()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _render(labels: Labels) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels)


def _handler(page):  # type: ignore[no-untyped-def]
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keeps a scrape a second out of the test's output."""

    return Handler
