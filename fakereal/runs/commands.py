"""Commands to paste: how a run goes on, and how its checkpoint is tested."""

from pathlib import Path
from typing import Any

from fakereal.config.search import SEARCH_KEYS
from fakereal.config.shell import pasted
from fakereal.config.words import key_of
from fakereal.runs.folders import Unusable, read_hydra, read_yaml, words_of

# What of the data changes nothing for an audit, which looks at all images and trains on none.
OF_TRAINING = ("data.batch_size", "data.resident", "data.seed", "data.drop_duplicates")


def resume_command(folder: Path) -> str:
    """What to type to go on with a run that was stopped, also with one job of a sweep alone."""
    given = {"ckpt_path", "sweep"}
    keys = [(word, key_of(word)) for word in words_of(folder)]
    words = [word for word, key in keys if key not in given and key.split(".")[0] not in SEARCH_KEYS]
    # an experiment may say hydra.mode=MULTIRUN, and one of its jobs is to run alone
    words += ["hydra.mode=RUN"] if read_hydra(folder).get("mode") == "MULTIRUN" else []
    words += [f"hydra.run.dir={folder.absolute()}", "ckpt_path=last"]
    return pasted("python", "-m", "fakereal.train", *_own_configuration(folder), *words)


def testing_command(checkpoint: Path | str, folder: Path) -> str:
    """What to type to test the checkpoint of the run in a folder."""
    words = _own_configuration(folder)
    if _own_data(folder):  # those of ours a checkpoint opens by itself
        chosen = (_runtime(folder).get("choices") or {}).get("data")
        words += [f"data={chosen}"] if chosen else []
        words += [word for word in words_of(folder) if word.startswith("data._target_=")]
    return pasted("python", "-m", "fakereal.test", *words, f"ckpt_path={checkpoint}")


def audit_command(folder: Path) -> str:
    """What to type to audit the images of the run in a folder."""
    words = _own_configuration(folder)
    if chosen := (_runtime(folder).get("choices") or {}).get("data"):
        words.append(f"data={chosen}")
    keys = ((word, key_of(word)) for word in words_of(folder))
    words += [word for word, key in keys if key.startswith("data.") and key not in OF_TRAINING]
    return pasted("python", "-m", "fakereal.audit", *words)


def _own_data(folder: Path) -> bool:
    try:
        target = read_yaml(folder / ".hydra" / "config.yaml")["data"]["_target_"]
    except (Unusable, KeyError, TypeError):
        return False
    return not str(target).startswith("fakereal.")


def _own_configuration(folder: Path) -> list[str]:
    """The word that names a folder with configuration of the user's own, where one was given."""
    sources = _runtime(folder).get("config_sources") or []
    given = [said for said in sources if isinstance(said, dict) and said.get("provider") == "command-line"]
    return [f"--config-dir={said.get('path')}" for said in given]


def _runtime(folder: Path) -> dict[str, Any]:
    said = read_hydra(folder).get("runtime")
    return said if isinstance(said, dict) else {}
