"""Keys that a command was given and does not have."""

import difflib
import re
from pathlib import Path

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fakereal.config import CONF
from fakereal.config.keys import KEYS, PLAIN

ADDED = re.compile(r"\+{1,2}([\w.]+)=")


def unread(cfg: DictConfig) -> list[str]:
    """A line for each key that was added with a plus and that nothing reads; Hydra itself advises to add it."""
    if not HydraConfig.initialized():
        return []
    added = [match[1] for word in HydraConfig.get().overrides.task if (match := ADDED.match(word))]
    if not added:
        return []
    known = _known()
    written = f"{OmegaConf.to_yaml(cfg)}{OmegaConf.to_yaml(HydraConfig.instance().cfg)}"  # where interpolations are
    unknown = []
    for key in added:
        first = key.split(".")[0]
        misspelt = first in PLAIN and key not in KEYS and key != first
        if misspelt or (first not in known and not re.search(rf"\$\{{[^}}]*\b{first}\b", written)):
            unknown.append(f"`{key}` is not used by anything: {_remedy(key, cfg)}")
    return unknown


def _known() -> set[str]:
    """First parts of the keys of any command, the package's groups, and those of the user's own."""
    of_commands = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in Path(CONF).glob("*.yaml"))
    groups = {path.name for path in Path(CONF).iterdir() if path.is_dir()} | {*HydraConfig.get().runtime.choices}
    return {key.partition(".")[0] for key in KEYS}.union(groups, *of_commands)


def _remedy(key: str, cfg: DictConfig) -> str:
    first, dot, rest = key.partition(".")
    there = (
        [name for name in KEYS if name.startswith(f"{first}.")]
        if first in PLAIN
        else [f"{name}{dot}{rest}" for name in map(str, cfg) if name != first]
    )
    near = difflib.get_close_matches(key, there, 1, 0.5)
    return f"did you mean `{near[0]}`?" if near else "remove it."
