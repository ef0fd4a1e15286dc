"""Keys that a command was given and does not have."""

import difflib
import re
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from fakereal.config import CONF
from fakereal.config.keys import KEYS

ADDED = re.compile(r"\+{1,2}(\w+)=")  # a key beside the groups; below one, its target's signature tells


def unread(cfg: DictConfig) -> list[str]:
    """A line for each key that was added with a plus and that nothing reads; Hydra itself advises to add it."""
    if not HydraConfig.initialized():
        return []
    added = [match[1] for word in HydraConfig.get().overrides.task if (match := ADDED.match(word))]
    known = {key.partition(".")[0] for key in KEYS} | {path.name for path in Path(CONF).iterdir() if path.is_dir()}
    written = OmegaConf.to_yaml(cfg)  # where an interpolation reads it
    return [
        f"`{key}` is read by nothing: {_remedy(key, cfg)}"
        for key in added
        if key not in known and not re.search(rf"\$\{{{key}\b", written)
    ]


def _remedy(key: str, cfg: DictConfig) -> str:
    near = difflib.get_close_matches(key, [str(name) for name in cfg if name != key], 1, 0.5)
    return f"did you mean `{near[0]}`?" if near else "leave it away."
