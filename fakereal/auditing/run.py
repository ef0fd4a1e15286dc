"""One audit, from a config to audit.html, audit.md, audit.json and duplicates.csv."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fakereal.auditing.baselines import look
from fakereal.auditing.duplicates import identical_pairs, several, write_pairs
from fakereal.auditing.findings import AuditFindings, divided, find
from fakereal.auditing.sections import sections
from fakereal.auditing.verdicts import headline, verdicts
from fakereal.config.schema import check
from fakereal.presentation.content import Verdict, Verdicts
from fakereal.presentation.page import write_pages
from fakereal.presentation.terminal import result_console
from fakereal.runs.image_digests import ImageDigests
from fakereal.runs.ledger import check_ledger, record_look
from fakereal.runtime.environment import prepare
from fakereal.runtime.files import write_json

STYLES = {"ok": "green", "note": "cyan", "warning": "bold yellow"}


def audit(cfg: DictConfig) -> dict[str, Any]:
    """Looks at `cfg.data`; leaves all files in Hydra's directory and returns what audit.json holds."""
    check(cfg)
    if cfg.test:
        check_ledger(cfg.ledger)
    begun = time.monotonic()
    out = Path(HydraConfig.get().runtime.output_dir)
    prepare(cfg)
    found = find(cfg)
    lines = verdicts(found)
    first, title = headline(found, lines), f"Audit of {type(found.data).__name__}"
    write_pages(out, title, first, [Verdicts(lines)], sections(found), "audit")
    complete = write_pairs(out / "duplicates.csv", found.data.images.names, found.part, found.label, _pairs(found))
    figures = as_json(found, lines) | {"duplicates_csv_complete": complete, "seconds": time.monotonic() - begun}
    write_json(out / "audit.json", figures)
    if found.measured_on == "test" or any("test/accuracy" in said for said in found.baselines.values()):
        record_look(
            Path(cfg.ledger),
            look(found.baselines, ImageDigests.of_data(found.data)),
            out,
        )
    _print(first, lines, out / "audit.html")
    return figures


def _pairs(found: AuditFindings) -> dict[str, Iterator[tuple]]:
    near = found.near
    chosen = zip(near.pairs.tolist(), near.distance.tolist(), near.correlation.tolist(), near.found, strict=True)
    return {
        "bytes": identical_pairs(found.bytes),
        "pixels": _other_bytes(found),
        "near": ((*pair, distance, f"{value:.4f}") for pair, distance, value, is_found in chosen if is_found),
    }


def _other_bytes(found: AuditFindings) -> Iterator[tuple[int, int]]:
    for first, second in identical_pairs(found.same, several(found.same.of, found.bytes.of)):
        if found.bytes.of[first] != found.bytes.of[second]:
            yield first, second


def as_json(found: AuditFindings, lines: list[Verdict]) -> dict[str, Any]:
    """All figures, unrounded, by name."""
    near, wanted = found.near, found.cfg.near
    return {
        "data": found.data.describe() | {"root": found.data.settings.get("root"), "test_split": divided(found.data)},
        "corrupt": {"files": len(found.skipped), "reasons": dict(sorted(found.skipped))},
        "duplicates": {
            "exact": found.counts["exact"] | ({"by_cifar_class": found.by_cifar_class} if found.by_cifar_class else {}),
            "pixels": found.counts["pixels"],
            "near": found.counts["near"]
            | {"distance": wanted.distance, "correlation": wanted.correlation, "close": len(near.pairs)}
            | {"flat_images": int(found.pixels.flat.sum()), "complete": near.complete},
        },
        "shortcuts": {
            s.name: {
                "auroc": s.auroc,
                "auroc_low": s.low,
                "auroc_high": s.high,
                "constant": s.constant,
                "of_file": s.of_file,
                "shortcut": s.low > found.cfg.shortcut,
            }
            for s in found.shortcuts
        },
        "shortcuts_measured_on": found.measured_on,
        "shortcut_threshold": found.cfg.shortcut,
        "baselines": found.baselines,
        "verdicts": [vars(line) for line in lines],
    }


def _print(first: str, lines: list[Verdict], page: Path) -> None:
    from rich.text import Text

    console = result_console()
    console.print(first, style="bold")
    for line in lines:
        text = Text(f"{line.level:<8}", STYLES[line.level]).append(f"{line.about}: {line.text}", "default")
        console.print(text.append(f" {line.remedy}", "dim") if line.remedy else text)
    console.print(f"Audit: {page}")
