"""The ledger of looks at the test split, as far as it concerns a report's data."""

from collections import Counter

from fakereal.presentation.content import Block, Table, Text, four, known_interval, percent
from fakereal.reporting.gather import ReportFindings
from fakereal.runs.ledger import members_of

FIGURES = (("test/accuracy", percent), ("test/auroc", four))
SHOWN = 50


def looks_blocks(found: ReportFindings) -> list[Block]:
    """How often the test split was looked at, with what, and which checkpoints more than once."""
    if not found.looks:
        return []
    runs = {run.metrics["checkpoint_digest"]: found.ref(run) for run in found.runs}

    def named(digests: tuple[str, ...]) -> str:
        return ", ".join(sorted(runs.get(digest, digest[:12]) for digest in digests))

    counts = Counter(map(members_of, found.looks))
    times = "once" if len(found.looks) == 1 else f"{len(found.looks)} times"
    blocks: list[Block] = [
        Text(
            f"The ledger counts every test: these images were looked at {times}, with {len(counts)} different "
            "checkpoints or ensembles. The best of several test figures is too good, as it was chosen by the test; "
            "this report chooses by validation."
        )
    ]
    again = [
        f"{named(digests)}{' together' if len(digests) > 1 else ''} ({n} times)"
        for digests, n in counts.items()
        if n > 1
    ]
    if again:
        blocks.append(
            Text(f"Looked at more than once, so do not choose between their settings by test: {', '.join(again)}.")
        )
    rows = []
    for number, look in enumerate(found.looks, start=1):
        figures = [known_interval(look, name, form) for name, form in FIGURES]
        rows.append([str(number), str(look.get("time", "")), named(members_of(look)), *figures])
    if len(rows) > SHOWN:
        blocks.append(Text(f"The newest {SHOWN} of {len(rows)}:"))
    blocks.append(Table(("look", "time", "checkpoint", "accuracy", "AUROC"), rows[-SHOWN:]))
    return blocks
