"""Numbers for the operator, on a port of their own on loopback: counts, never names."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

BUCKETS_SECONDS = (0.005, 0.02, 0.1, 0.5, 2.0, 10.0)


class Metrics:
    """Counters in memory, written in the Prometheus text form."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._buckets = [0] * (len(BUCKETS_SECONDS) + 1)
        self._seconds = 0.0
        self.sources: list[Callable[[], Mapping[str, float]]] = []
        """Functions that give more gauges by name, such as the desk's queue length."""

    def request(self, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests[(method, f"{status // 100}xx")] += 1
        self._buckets[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        self._seconds += seconds

    def text(self) -> str:
        """Everything, in the Prometheus text exposition format 0.0.4."""
        lines = ["# TYPE safelight_http_requests_total counter"]
        for (method, family), count in sorted(self._requests.items()):
            lines.append(
                f'safelight_http_requests_total{{method="{method}",status="{family}"}} {count}'
            )
        lines.append("# TYPE safelight_http_seconds histogram")
        total = 0
        for limit, count in zip((*BUCKETS_SECONDS, "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'safelight_http_seconds_bucket{{le="{limit}"}} {total}')
        lines.append(f"safelight_http_seconds_sum {self._seconds:.6f}")
        lines.append(f"safelight_http_seconds_count {total}")
        for source in self.sources:
            for name, value in sorted(source().items()):
                lines += [f"# TYPE safelight_{name} gauge", f"safelight_{name} {value:g}"]
        return "\n".join(lines) + "\n"


def resident_bytes() -> float:
    """Resident memory of this process in bytes; 0 where ``/proc`` is missing."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return float(pages * 4096)


async def serve_metrics(metrics: Metrics, port: int) -> asyncio.Server:
    """Answer ``GET /metrics`` on 127.0.0.1:``port`` and nothing else, until the server is closed.

    Raises :class:`OSError` if the port is taken.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
            found = head.startswith(b"GET /metrics ")
            body = metrics.text().encode() if found else b"not found\n"
            status = b"200 OK" if found else b"404 Not Found"
            writer.write(
                b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain; version=0.0.4\r\n"
                b"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", port, limit=16 * 1024)
