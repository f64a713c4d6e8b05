"""`onesource control | router`: the bus's own processes."""

import os
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

_STOP_SECONDS = 15.0
#: A router that has not finished a round for this long is not ready.
_STUCK_SECONDS = 60.0

CredentialsOption = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        envvar="ONESOURCE_CREDENTIALS",
        help="A credentials file; by default the one in the state folder.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(control)
    app.command()(router)


def control(credentials: CredentialsOption = None) -> None:
    """
    Serve the control plane: schema registry, subscription descriptors, policy relay.

    Any number of replicas may run over one database; one of them relays.
    """
    import uvicorn

    from bus.bootstrap.control import control as connect
    from bus.logs import configure_logs
    from bus.settings import load_settings

    settings = load_settings(credentials=credentials)
    configure_logs(level=settings.log_level, form=settings.log_format, process="control")
    with connect(settings) as parts:
        server = uvicorn.Server(
            uvicorn.Config(
                parts.app,
                host=settings.http.host,
                port=settings.http.port,
                log_config=None,
                access_log=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=5,
                limit_concurrency=512,
                h11_max_incomplete_event_size=64 << 10,
            )
        )
        parts.background.start()
        try:
            server.run()
        finally:
            _end_for_sure()
            parts.background.stop()


def router(credentials: CredentialsOption = None) -> None:
    """
    Route: source topics to view topics, exactly once.

    Several routers share the partitions; give each its own ONESOURCE_SLOT.
    """
    import structlog

    from bus.bootstrap.router import router as connect
    from bus.health import serve_health
    from bus.logs import configure_logs
    from bus.metrics import ROUTER_REGISTRY, ROUTER_ROUND_SECONDS
    from bus.settings import load_settings
    from bus.views.walker import COMPILED
    from bus.watchdog import Watchdog

    settings = load_settings(credentials=credentials)
    configure_logs(level=settings.log_level, form=settings.log_format, process="router")
    log = structlog.get_logger(__name__)
    ended = stop_event()
    with connect(settings) as running:
        progress = running.progress
        ROUTER_ROUND_SECONDS.set_function(progress.round_seconds)
        watchdog = Watchdog(progress.stuck)

        def not_ready() -> str | None:
            if progress.round_seconds() > _STUCK_SECONDS:
                return "the loop does not come round"
            return running.not_ready()

        port = serve_health(
            settings.http.host,
            settings.http.port,
            registry=ROUTER_REGISTRY,
            not_ready=not_ready,
        )
        kernel = "compiled" if COMPILED else "interpreted"
        log.info("router runs", slot=settings.slot, health_port=port, kernel=kernel)
        watchdog.start()
        while not ended.is_set():
            running.round(pause=ended.wait)
        # Leaving has a bound of its own.
        watchdog.stop()
        _end_for_sure()
    log.info("router stopped")


def stop_event() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    ended = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ended.set())
    return ended


def _end_for_sure() -> None:
    """Bound the shutdown: a client that hangs at close must not keep the process."""
    timer = threading.Timer(_STOP_SECONDS, lambda: os._exit(1))
    timer.daemon = True
    timer.start()
