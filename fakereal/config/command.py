"""How every command starts and ends in a shell."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from fakereal.config.argv import as_meant
from fakereal.runtime.errors import ending


def told() -> AbstractContextManager[None]:
    """A UserError within it ends the command with its message alone, without Hydra's words around it.

    Not in a sweep, whose other jobs go on, nor with HYDRA_FULL_ERROR=1, which shows where it came from.
    """
    whole = HydraConfig.get().mode == RunMode.MULTIRUN or os.environ.get("HYDRA_FULL_ERROR", "0") != "0"
    return nullcontext() if whole else ending()


def start(main: Callable[[], object]) -> None:
    """Runs a command with paths as they are typed; Ctrl-C ends it with status 130 and without a traceback.

    So does, with status 141, a reader of its output that has gone.
    """
    sys.argv = as_meant(sys.argv)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", "") == "strict":  # a pipe on Windows cannot say every name of a file
            stream.reconfigure(errors="backslashreplace")
    try:
        main()
    except (KeyboardInterrupt, SystemExit) as end:
        # Lightning makes a SystemExit of it, with the status of any failure.
        if not any(isinstance(error, KeyboardInterrupt) for error in (end, end.__context__)):
            raise
        print("Interrupted", file=sys.stderr)
        raise SystemExit(130) from None  # 128 + SIGINT, as shells have it
    except BrokenPipeError:  # of `--help | head`, which has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the end
        raise SystemExit(141) from None  # 128 + SIGPIPE
