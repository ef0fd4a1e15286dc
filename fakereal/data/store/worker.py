"""How a decoding process behaves. It imports neither torch nor Hydra, which would be its longest work."""

import multiprocessing
import os
import signal
import threading


def start() -> None:
    """Leaves Ctrl-C to the parent, and ends with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # After a SIGKILL of the parent the workers of a ProcessPoolExecutor would wait for tasks for ever.
    multiprocessing.parent_process().join()
    os._exit(1)
