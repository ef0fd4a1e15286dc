"""The end of a run on one screen."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.table import Table

from fakereal.presentation.content import four, known_interval, percent
from fakereal.presentation.terminal import result_console
from fakereal.runs.commands import testing_command


def print_summary(cfg: DictConfig, metrics: dict[str, Any], out: Path) -> None:
    """What was trained, how good it is on validation, what it cost, and what to type next."""

    def said(name: str, form=four) -> str:
        return known_interval(metrics, f"val/{name}", form)

    def recall(cls: str) -> str:
        return said(f"calibrated/recall_{cls}", percent)

    table = Table(
        title="Best checkpoint on validation, with 95% intervals", title_justify="left", show_header=False, box=None
    )
    rows = {
        "model": f"{cfg.model.backbone}, {metrics['parameters']:,} parameters",
        "accuracy": f"{said('accuracy', percent)}, {metrics['val/images']:,} images",
        "AUROC": said("auroc"),
        "F1": f"REAL {said('f1_real')}, FAKE {said('f1_fake')}",
        "loss": said("loss"),
        "calibration error": said("ece"),
        "calibrated": f"temperature {metrics['temperature']:.3f}, threshold {metrics['threshold']:.3f}",
    }
    if (metrics["temperature"], metrics["threshold"]) == (1, 0.5):
        rows["calibrated"] = "no: temperature 1, threshold 0.5"
    else:
        rows |= {
            "  accuracy": f"{said('calibrated/accuracy', percent)}, of the images it was fitted on",
            "  recall": f"REAL {recall('real')}, FAKE {recall('fake')}",
            "  loss": said("calibrated/loss"),
            "  calibration error": said("calibrated/ece"),
        }
    if metrics["epochs"]:
        rows["epochs"] = f"{metrics['epochs']}, best after {metrics['best_epoch']}"
    if "train_seconds" in metrics:
        speed = f"{metrics['train_seconds']:,.0f} s in training, {metrics['images_per_second']:,.0f} images/s"
        rows["cost"] = speed
    for name, value in rows.items():
        table.add_row(name, value)
    console = result_console()
    console.print(table)
    console.print(f"Run:        {out}")
    console.print(f"Checkpoint: {metrics['checkpoint']}")
    console.print(f"Test it:    {testing_command(metrics['checkpoint'], out)}")
