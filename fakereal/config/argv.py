"""The command line as Hydra needs it: paths quoted for its grammar, flags first, and a choice for each group."""

import os
import re
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from fakereal.config import CONF

PATH_KEYS = {  # and `overrides`, a list of words that Hydra's grammar would take apart too
    "audits",
    "ckpt_path",
    "images",
    "init_from",
    "ledger",
    "overrides",
    "pretrained_weights",
    "root",
    "runs",
    "storage",
    "tests",
    "data.root",
    "data.cache_dir",
    "data.mirror",
    "model.weights",
    "hydra.run.dir",
    "hydra.sweep.dir",
}


NO_CHOICE = {"default", "checkpoint"}  # files of a group that others begin with, or that commands have by themselves
NO_DATA = ("data=default",)  # of which no command has images
DIRECTORIES = ("hydra.run.dir", "hydra.sweep.dir")  # which Hydra makes itself, `~` and all
QUOTES = ("'", '"')
FLAGS = ("--multirun", "-m", "--run", "-r")  # Hydra's that stand alone
VALUED = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p", "--cfg", "-c")


def as_meant(argv: list[str]) -> list[str]:
    """The command line with its paths quoted, and flags before the overrides: argparse takes none after them.

    Ends the process where a group is given no choice.
    """
    command, *words = quote_paths(argv)
    refuse_no_choice(words)
    flags, rest = [], []
    for word in words:
        valued = bool(flags) and flags[-1] in VALUED and not word.startswith("-")
        (flags if valued or word in FLAGS or word.split("=")[0] in VALUED else rest).append(word)
    return [command, *flags, *rest]


def refuse_no_choice(words: list[str]) -> None:
    """Ends the process where a group is `null`, nothing or a number: Hydra wants one of its files."""
    for word in words:
        group, equals, choice = word.partition("=")
        within = group.replace(".", "/")
        if within != group and choice in choices_of(within):
            raise SystemExit(f"{word}: `{within}` is a group. Choose with {within}={choice}.")
        if equals and (options := choices_of(group)) and (word in NO_DATA or not _names(word)):
            raise SystemExit(
                f"{word}: `{group}` is chosen from {', '.join(options)}. Give one, or leave {word} away; its keys are "
                f"set with {group.replace('/', '.')}.KEY=VALUE."
            )


def _names(word: str) -> bool:
    """Whether Hydra's grammar reads text, or several, in a word; what it does not understand it tells itself."""
    try:
        value = OverridesParser.create().parse_override(word).value()
    except HydraException:
        return True
    return value not in ("", "None") and not isinstance(value, int | float | None)


def choices_of(group: str) -> list[str]:
    """The files of a group of conf/, such as `model` or `data/augment`; empty where there is no such group."""
    if not re.fullmatch(r"\w+(/\w+)*", group) or group.startswith("hydra/"):  # of which Hydra brings more
        return []
    return sorted({path.stem for path in Path(CONF, group).glob("*.yaml")} - NO_CHOICE)


def quote_paths(argv: list[str]) -> list[str]:
    """`data.root=/tmp/a (b)=c` as `data.root='/tmp/a (b)=c'`: a path may hold what Hydra's grammar does not.

    In a list, `ckpt_path=[a (1).ckpt,b.ckpt]`, each path is quoted; one that holds a comma must be by hand.
    """
    return [_quoted(word) for word in argv]


def _quoted(word: str) -> str:
    key, _, value = word.partition("=")
    if key.lstrip("+") in DIRECTORIES and value[:1] == "~":
        word = f"{key}={os.path.expanduser(value)}"
    match = re.fullmatch(r"(\+{0,2}([\w.]+))=(.*)", word, re.DOTALL)
    if not match or match[2] not in PATH_KEYS or match[3][:1] in QUOTES:
        return word
    if _is_understood(word) and match[3] == match[3].strip():
        return word
    value = match[3]
    if value[:1] == "[" and value[-1:] == "]":
        items = (item.strip() for item in value[1:-1].split(","))
        return f"{match[1]}=[{','.join(item if item[:1] in QUOTES else _quote(item) for item in items)}]"
    return f"{match[1]}={_quote(value)}"


def _is_understood(word: str) -> bool:
    """Whether Hydra's grammar takes the value as it is meant, and not a folder named 2024 for a number."""
    try:
        value = OverridesParser.create().parse_override(word).value()
    except HydraException:
        return False
    return not any(isinstance(item, int | float) for item in (value if isinstance(value, list) else [value]))


def _quote(text: str) -> str:
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"'{escaped}'"
