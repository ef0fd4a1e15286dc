"""Overrides as text: Hydra's own parser takes a millisecond for each, and a report reads those of hundreds of runs."""


def key_of(word: str) -> str:
    """`data.root` of `+data.root=/a`, and of `~data.root`."""
    return word.lstrip("+~").partition("=")[0]


def values_of(words: list[str]) -> dict[str, str]:
    """Key to text of what is set; deletions (`~key`) are left out."""
    return {key_of(word): word.partition("=")[2] for word in words if "=" in word and not word.startswith("~")}
