"""`orrery serve`: films and live worlds for other programs, over HTTP."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import tyro

from orrery.cli.console import needs
from orrery.cli.play import bound, one_thread_each
from orrery.cli.signing import signing
from orrery.errors import BadUse
from orrery.registry import DEFAULT_MODEL

__all__ = ["TOKEN_VARIABLE", "serve"]

TOKEN_VARIABLE = "ORRERY_TOKEN"


def serve(
    models: tyro.conf.Positional[tuple[str, ...]] = (DEFAULT_MODEL,),
    host: str = "127.0.0.1",
    port: int = 8717,
    data: Path = Path("orrery-serve"),
    max_seconds: float = 60.0,
    max_job_minutes: float = 30.0,
    sign: Path | None = None,
) -> int:
    """Serve films and live worlds to other programs (docs/serving.md).

    Films are asked for as from OpenAI's or vLLM-Omni's video API and made one after the other; what was
    accepted is made, also after a crash or a restart. Beyond this machine everyone needs a token: that of the
    environment variable ORRERY_TOKEN, or one that is drawn by chance and printed.

    Args:
        models: names of models, folders of checkpoints, exact worlds (exact:NAME where a model has the same
            name) or environments (gym:ENV_ID). The first is taken where a request names none.
        host: address to bind to.
        port: to listen on; 0 for any that is free.
        data: folder of the jobs and their films; it is made.
        max_seconds: length of a film at most.
        max_job_minutes: that the making of one film takes at most.
        sign: a PEM file of a private key and its certificates: every film gets content credentials (C2PA)
            that say what made it, signed with that key (needs the sign extra).
    """
    signing(sign)  # refused now, not with the first film
    if not 0 <= port <= 65535:
        raise BadUse(f"--port {port}: must be from 0 to 65535")
    if not 0 < max_seconds <= 3600:
        raise BadUse(f"--max-seconds {max_seconds:g}: must be above 0 and at most 3600")
    if not 0 < max_job_minutes <= 10_000:
        raise BadUse(f"--max-job-minutes {max_job_minutes:g}: must be above 0 and at most 10000")
    with needs("serve", "serving"):
        import python_multipart  # noqa: F401  (what FastAPI reads forms with)
        import uvicorn

        from orrery.serving.guard import is_loopback
        from orrery.serving.jobs import Jobs
        from orrery.serving.models import open_models
        from orrery.serving.service import create_service
        from orrery.serving.stepping import stepping_limits
        from orrery.serving.supervisor import Supervisor
        from orrery.serving.videos import FilmLimits
    jobs = Jobs(data)
    with jobs.lock("server", wait=False):
        with needs("sim", "these models"):
            opened = open_models(models)
        one_thread_each()
        given = os.environ.get(TOKEN_VARIABLE)
        token = given or (None if is_loopback(host) else secrets.token_urlsafe(16))
        listener = bound(host, port)
        shown = f"[{host}]" if ":" in host else host
        print(
            f"{', '.join(opened)}: http://{shown}:{listener.getsockname()[1]}/v1   Ctrl-C ends it", flush=True
        )
        if token is not None:
            print(f"token: {f'that of {TOKEN_VARIABLE}' if given else token}", flush=True)
        limits = FilmLimits(seconds=max_seconds, job_seconds=60 * max_job_minutes)
        supervisor = Supervisor(jobs, {n: m.source for n, m in opened.items()}, limits.job_seconds, sign)
        app = create_service(opened, jobs, supervisor, host, token, limits)
        config = uvicorn.Config(
            app,
            log_level="warning",
            limit_concurrency=256,
            ws_max_size=2 * stepping_limits().message_bytes,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=2,
        )
        uvicorn.Server(config).run(sockets=[listener])
    return 0
