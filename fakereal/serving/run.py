"""The server: checkpoints to a page and an address for programs, until it is ended."""

import logging
import os
import signal
import socket
import tempfile
import threading
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fakereal.config.schema import check
from fakereal.runtime.environment import prepare
from fakereal.runtime.errors import UserError, installing

log = logging.getLogger(__name__)


def serve(cfg: DictConfig) -> None:
    """Answers on cfg.host and cfg.port until SIGINT or SIGTERM.

    Raises:
        UserError: gradio is missing, the address is taken, or a checkpoint cannot be loaded.
    """
    check(cfg)
    prepare(cfg)
    with closing(listening(cfg.host, cfg.port)) as listener, tempfile.TemporaryDirectory(prefix="fakereal-") as folder:
        # Gradio reads these when it is imported.
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
        try:
            import gradio  # noqa: F401
            import uvicorn
        except ImportError as error:
            raise UserError(f"The app needs {error.name}: {installing('app')}.") from None
        page = application(cfg, Path(folder))
        url = address(*listener.getsockname()[:2])
        if not is_loopback(listener.getsockname()[0]):
            log.warning("host=%s: anyone who can reach this computer can use the page; there is no password.", cfg.host)
        log.info("Open %s (stop with Ctrl-C). For programs: curl -F images=@photo.jpg %s/predict", url, url)
        if cfg.open:
            import webbrowser

            threading.Timer(1, webbrowser.open, [url]).start()
        settings = uvicorn.Config(page, log_level="warning", timeout_graceful_shutdown=2, server_header=False)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # which the server raises again when it has ended
        try:
            uvicorn.Server(settings).run([listener])
        except KeyboardInterrupt:
            log.info("Stopped.")


def listening(host: str, port: int | None) -> socket.socket:
    """A socket that is bound before the checkpoints are loaded; a UserError where it cannot be."""
    try:
        family, *_, where = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere it would share a port that is taken
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(128)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that cannot be a name
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"port={port} on host={host} cannot be used ({reason}). Give another port or host, or port=null for any "
            "free port."
        ) from error
    return listener


def address(host: str, port: int) -> str:
    """Where a browser on this computer finds it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    return ip_address(host.partition("%")[0]).is_loopback


def application(cfg: DictConfig, folder: Path) -> Any:
    """The ASGI application; `folder`: Gradio's own, which stays empty."""
    from fakereal.serving.choices import judges_of
    from fakereal.serving.desk import Desk, Uploads, programs
    from fakereal.serving.limits import Guard, Limits
    from fakereal.serving.page import with_page

    limits = Limits(**cfg.limits)
    desk = Desk(judges_of(cfg, limits), limits)
    uploads = Uploads(folder, limits)
    return Guard(with_page(programs(desk, uploads), desk, uploads, cfg.tests), limits)
