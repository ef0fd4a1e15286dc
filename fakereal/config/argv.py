"""The command line as Hydra needs it: paths quoted for its grammar, flags first, and a choice for each group."""

import os
import re
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Sweep
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
FUNCTION = re.compile(r"(choice|range|interval|glob|tag|sort|shuffle|str|extend_list)\(")  # of Hydra's grammar
# Hydra's options that stand alone, those with a value, and one that has a value or none; and of which there is one.
SWEEPS, ALONE, SHOWS = {"--multirun", "-m"}, {"--run", "-r", "--shell-completion", "-sc"}, {"--cfg", "-c"}
FLAGS = {*SWEEPS, *ALONE, "--resolve", "--help", "-h", "--hydra-help"}
VALUED = {*SHOWS, "--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--package", "-p"}
INFO = {"--info", "-i"}
MODES = SWEEPS | ALONE | SHOWS | INFO
INFOS = {"all", "config", "defaults", "defaults-tree", "plugins", "searchpath"}


def as_meant(argv: list[str]) -> list[str]:
    """The command line with its paths quoted, and flags before the overrides: argparse takes none after them.

    Ends the process where a group is given no choice.
    """
    command, *words = quote_paths(argv)
    refuse_no_choice(words)
    flags, rest, last = [], [], ""
    for word, following in zip(words, [*words, ""][1:], strict=True):
        valued = last in VALUED or (last in INFO and word in INFOS)
        flag = valued or word in FLAGS or word.split("=")[0] in VALUED | INFO
        bare = word in INFO and following not in INFOS  # without its value it would take the next word for it
        (flags if flag else rest).append(f"{word}=all" if bare else word)
        last = "" if valued else word
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
                f"{word}: `{group}` is chosen from {', '.join(options)}. Give one, or remove {word}; its keys are "
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

    In a list, `ckpt_path=[a (1).ckpt,b.ckpt]`, and in a sweep, each path is quoted; one that holds a comma must be by
    hand.
    """
    sweeps = any(word in SWEEPS for word in argv)
    return [_quoted(word, sweeps) for word in argv]


def _quoted(word: str, sweeps: bool) -> str:
    key, _, value = word.partition("=")
    if key.lstrip("+") in DIRECTORIES and value[:1] == "~":
        word = f"{key}={os.path.expanduser(value)}"
    match = re.fullmatch(r"(\+{0,2}([\w.]+))=(.*)", word, re.DOTALL)
    if not match or match[2] not in PATH_KEYS or match[3][:1] in QUOTES or FUNCTION.match(match[3]):
        return word
    value = match[3]
    if any(quote in value for quote in QUOTES) and _read(word) is not None:
        return word  # quoted by hand
    if value[:1] == "[" and value[-1:] == "]":
        return f"{match[1]}=[{','.join(_path(item.strip()) for item in value[1:-1].split(','))}]"
    return f"{match[1]}={','.join(_path(item) for item in (value.split(',') if sweeps else [value]))}"


def _path(text: str) -> str:
    """A path as it is typed where Hydra's grammar reads it so, else quoted: a folder named 2024 is no number."""
    if text[:1] in QUOTES or text in ("", "null"):
        return text
    read = _read(f"x={text}")
    return text if read == text or isinstance(read, Sweep) else _quote(text)  # of `a,b` Hydra tells what it may be


def _read(word: str) -> Any:
    """What Hydra's grammar reads as a word's value; None where it does not understand it, or reads null."""
    try:
        return OverridesParser.create().parse_override(word).value()
    except HydraException:
        return None


def _quote(text: str) -> str:
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f"'{escaped}'"
