"""One report, from run directories to a folder that opens anywhere."""

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fakereal.config.schema import check
from fakereal.presentation.content import Command, Text
from fakereal.presentation.page import write_pages
from fakereal.presentation.terminal import result_console
from fakereal.reporting.conclusion import conclusion, headline
from fakereal.reporting.export import write_results
from fakereal.reporting.gather import ReportFindings, gather
from fakereal.reporting.sections import sections

SHOWN = 20  # lines on the terminal; the page has all


def report(cfg: DictConfig) -> Path:
    """Writes report.html, report.md, figures/ and results.csv to Hydra's directory; the path of report.html."""
    check(cfg)
    out = Path(HydraConfig.get().runtime.output_dir)
    found = gather(cfg)
    write_results(found, out / "results.csv")
    first, told = headline(found), conclusion(found)
    write_pages(out, cfg.title or _title(found), first, told, sections(found), "report")
    _print(found, [first, *(block.text for block in told if isinstance(block, Text | Command))], out / "report.html")
    return out / "report.html"


def _title(found: ReportFindings) -> str:
    runs = "1 run" if len(found.runs) == 1 else f"{len(found.runs)} runs"
    data = found.runs[0].provenance["data"]
    splits = data.get("splits")
    images = ""
    if isinstance(splits, dict):
        counts = [f"{sum(splits[name].values()):,} {name}" for name in ("train", "val", "test") if splits.get(name)]
        images = f" ({', '.join(counts)} images)"
    return f"{runs} on {data.get('class', 'unnamed data')}{images}"


def _print(found: ReportFindings, lines: list[str], page: Path) -> None:
    console = result_console()
    for number, line in enumerate(lines):
        console.print(line, style="bold" if not number else None)
    for what, reason in found.left_out[:SHOWN]:
        console.print(f"Left out: {what}: {reason}", style="yellow")
    if len(found.left_out) > SHOWN:
        console.print(f"Left out: {len(found.left_out) - SHOWN} more, named in the report", style="yellow")
    for first, second, why in found.pairs.refused[:SHOWN]:
        console.print(f"Not compared: {found.named(first)} and {found.named(second)}: {why}", style="yellow")
    console.print(f"Report: {page}")
