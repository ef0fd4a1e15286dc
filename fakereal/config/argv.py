"""Command-line overrides whose value is a path, quoted for Hydra's grammar where they need it."""

import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

PATH_KEYS = {
    "ckpt_path",
    "init_from",
    "ledger",
    "runs",
    "tests",
    "data.root",
    "data.cache_dir",
    "data.mirror",
    "model.weights",
    "hydra.run.dir",
    "hydra.sweep.dir",
}


def quote_paths(argv: list[str]) -> list[str]:
    """`data.root=/tmp/a (b)=c` as `data.root='/tmp/a (b)=c'`: a path may hold what Hydra's grammar does not."""
    return [_quoted(word) for word in argv]


def _quoted(word: str) -> str:
    match = re.fullmatch(r"(\+{0,2}([\w.]+))=(.*)", word, re.DOTALL)
    if not match or match[2] not in PATH_KEYS or match[3][:1] in ("'", '"'):
        return word
    try:
        OverridesParser.create().parse_override(word)
        return word
    except HydraException:
        escaped = re.sub(r"(\\*)'", r"\1\1\\'", match[3])
        escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
        return f"{match[1]}='{escaped}'"
