"""What a server counts, in Prometheus' text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from orrery.serving.jobs import Status

__all__ = ["KIND", "exposition"]

KIND = "text/plain; version=0.0.4; charset=utf-8"


def exposition(
    jobs: Mapping[Status, int], requests: Counter[tuple[str, int]], sockets: int, is_up: bool, restarts: int
) -> str:
    """jobs: by status. requests: by method and status of the answer. sockets: open now. is_up, restarts: of
    the worker."""
    by_status = {f'{{status="{status}"}}': count for status, count in jobs.items()}
    by_answer = {f'{{method="{m}",status="{s}"}}': count for (m, s), count in sorted(requests.items())}
    families = [
        ("orrery_jobs", "gauge", "Films by status.", by_status),
        ("orrery_http_requests_total", "counter", "Answers by method and status.", by_answer),
        ("orrery_realtime_sessions", "gauge", "Open sockets.", {"": sockets}),
        ("orrery_worker_up", "gauge", "Whether the process that makes films runs.", {"": int(is_up)}),
        ("orrery_worker_restarts_total", "counter", "Times it was started again.", {"": restarts}),
    ]
    lines: list[str] = []
    for name, kind, said, values in families:
        lines += [f"# HELP {name} {said}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{labels} {value}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"
