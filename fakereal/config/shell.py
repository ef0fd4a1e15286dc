"""Commands for people to paste."""

import os
import shlex
import subprocess

WINDOWS = os.name == "nt"


def pasted(*words: object) -> str:
    """Words as the shell of this system takes them: quoted where they must be."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if WINDOWS else shlex.join(texts)
