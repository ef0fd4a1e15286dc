"""What the keys outside of any target may be, and ranges that the libraries' own annotations do not state."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from fakereal.config.monitor import MODES

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(pattern=r"^[\w.-]+$")]  # of a directory
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Threshold = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Batches = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)]
Figure = Literal[
    "all", "start", "decode", "first_epoch", "memory", "sweep", "predict", "training", "steps", "whole_path"
]
# Of Lightning's those with weights in fp32: preprocessing gives fp32 to the network.
Precision = Literal[32, "32", "32-true", 16, "16", "16-mixed", "bf16", "bf16-mixed"]


class Published(TypedDict):
    """A published accuracy, on which split, and where it stands."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    accuracy: Annotated[float, Field(gt=0, lt=1)]
    split: Literal["val", "test"]
    source: str


PLAIN = ("limits", "near")  # nodes without a target, whose signature would tell their keys
NODES = ("calibration", *PLAIN)  # Hydra itself sees to those that are groups

KEYS: dict[str, Any] = {
    "seed": Seed,
    "ckpt_path": str | Annotated[list[str], Field(min_length=1)] | None,
    "tta": Literal["none", "flip"] | None,
    "threshold": Threshold | None,
    "images": str | Annotated[list[str], Field(min_length=1)] | None,
    "json": bool,
    "format": Literal["onnx", "torch", "safetensors"],
    "license": str | None,
    "target": Literal["predicted", "fake", "real"],
    "layer": str | None,
    "gallery": Annotated[int, Field(ge=0)],
    "group_depth": Count | None,
    "init_from": str | None,
    "ledger": str,
    "published": Published | None,
    "sweep": Name | None,
    "study": Name | None,
    "storage": str | None,
    "n_trials": Count,
    "timeout": Positive | None,
    "n_jobs": Count,
    "runs": str | list[str],
    "tests": str | list[str] | None,
    "corruptions": str | Annotated[tuple[str, ...], Field(min_length=1)],
    "severities": Annotated[tuple[Annotated[int, Field(ge=1, le=5)], ...], Field(min_length=1)],
    "limit": Annotated[int, Field(ge=2)] | None,
    "split": Literal["test", "val"],
    "resamples": Annotated[int, Field(ge=100)],
    "title": str | None,
    "monitor": Literal[*MODES],
    "near.distance": Annotated[int, Field(ge=0, le=10)],
    "near.correlation": Share,
    "shortcut": Annotated[float, Field(ge=0.5, le=1)],
    "test": bool,
    "audits": str | list[str] | None,
    "examples": Annotated[int, Field(ge=0)],
    "scheduler.pct_start": Annotated[float, Field(gt=0, lt=1)],
    "threads": Count | None,
    "host": Annotated[str, Field(min_length=1)],
    "port": Annotated[int, Field(ge=0, le=65535)] | None,
    "open": bool,
    "limits.max_file_mb": Positive,
    "limits.max_request_mb": Positive,
    "limits.max_pixels": Count,
    "limits.max_images": Count,
    "limits.concurrency": Count,
    "limits.queue": Annotated[int, Field(ge=0)],
    "figures": Figure | Annotated[list[Figure], Field(min_length=1)],
    "networks": Annotated[list[str], Field(min_length=1)],
    "launchers": list[Literal["basic", "joblib", "submitit_local", "slurm"]],
    "peers": Annotated[list[Literal["limit", "imagefolder", "timm"]], Field(min_length=1)],
    "overrides": list[str],
    "epoch_images": dict[str, Annotated[int, Field(ge=256)]],
    "repeats": Count,
    "batch_size": Annotated[int, Field(ge=2)],
    "optimizer.lr": Positive,
    "optimizer.weight_decay": NotNegative,
    "optimizer.momentum": Annotated[float, Field(ge=0, lt=1)],
    "optimizer.eps": Positive,
    "optimizer.betas": tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]],
    "trainer.precision": Precision | None,
    "trainer.max_epochs": Annotated[int, Field(ge=0)],
    "trainer.gradient_clip_val": NotNegative | None,
    "trainer.accumulate_grad_batches": Count,
    "trainer.check_val_every_n_epoch": Count,
    "trainer.log_every_n_steps": Count,
    "trainer.limit_train_batches": Batches | None,
    "trainer.limit_val_batches": Batches | None,
}
