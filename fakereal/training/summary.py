"""The end of a run on one screen."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.table import Table

from fakereal.evaluation.intervals import wilson
from fakereal.reporting.terminal import result_console


def print_summary(cfg: DictConfig, metrics: dict[str, Any], out: Path) -> None:
    """What was trained, how good it is on validation, what it cost, and what to type next."""
    images = metrics["val/images"]
    low, high = wilson(round(metrics["val/accuracy"] * images), images)
    table = Table(title="Best checkpoint on validation", title_justify="left", show_header=False, box=None)
    rows = {
        "model": f"{cfg.model.backbone}, {metrics['parameters']:,} parameters",
        "accuracy": f"{metrics['val/accuracy']:.2%}  (95% interval {low:.2%} to {high:.2%}, {images:,} images)",
        "AUROC": f"{metrics['val/auroc']:.4f}",
        "F1": f"REAL {metrics['val/f1_real']:.4f}, FAKE {metrics['val/f1_fake']:.4f}",
        "loss": f"{metrics['val/loss']:.4f}",
        "calibrated": f"temperature {metrics['temperature']:.3f}, threshold {metrics['threshold']:.3f}: "
        f"accuracy {metrics['val/calibrated/accuracy']:.2%}, "
        f"calibration error {metrics['val/ece']:.4f} -> {metrics['val/calibrated/ece']:.4f}",
        "epochs": f"{metrics['epochs']}, best after {metrics['best_epoch']}",
    }
    if "train_seconds" in metrics:
        speed = f"{metrics['train_seconds']:,.0f} s in training, {metrics['images_per_second']:,.0f} images/s"
        rows["cost"] = speed
    for name, value in rows.items():
        table.add_row(name, value)
    console = result_console()
    console.print(table)
    console.print(f"Run:        {out}")
    console.print(f"Checkpoint: {metrics['checkpoint']}")
    console.print(f"Test it:    python -m fakereal.test ckpt_path={quoted(metrics['checkpoint'])}")


def quoted(path: str | Path) -> str:
    """A path as it can be pasted into a shell."""
    import shlex

    return shlex.quote(str(path))
