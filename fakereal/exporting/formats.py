"""The formats of an exported classifier: how each is written, and how it is asked."""

import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fakereal.models.checkpoint import Loaded, load_classifier, read_checkpoint, write_safetensors
from fakereal.models.ensemble import Ensemble, combine
from fakereal.runtime.errors import UserError, installing

OPSET = 20  # of ONNX, from 2023: the first whose Resize is told the very scales
Ask = Callable[[np.ndarray], np.ndarray]


@dataclass
class Described:
    """What a file says of itself besides its weights."""

    classes: list[str]
    size: int
    aspect: str
    filter: str
    threshold: float
    checkpoints: list[str]


class Exported(nn.Module):
    """What is exported: calibrated probability of FAKE, and whether it reaches the threshold."""

    def __init__(self, members: list[Loaded]):
        super().__init__()
        # A graph of its own layout runs elsewhere; torch.export warns of weights that are not contiguous.
        for member in members:
            member.classifier.backbone.to(memory_format=torch.contiguous_format)
            member.classifier.hparams.channels_last = False
        self.ensemble = Ensemble(members).requires_grad_(False)  # a program would keep what a backward pass needs

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (B,) and bool (B,) of uint8 images (B, 3, H, W)."""
        probabilities = self.ensemble(images).mean(0)
        return probabilities, probabilities >= self.ensemble.threshold


def to_onnx(members: list[Loaded], described: Described, path: Path) -> None:
    """`images` uint8 (batch, 3, size, size) to `prob_fake` float32 (batch) and `is_fake` bool (batch)."""
    _need_onnx()
    for name in ("onnxscript", "onnx_ir"):  # they tell of every rewriting
        logging.getLogger(name).setLevel(logging.WARNING)
    program = torch.onnx.export(
        _traced(members, described.size),
        input_names=["images"],
        output_names=["prob_fake", "is_fake"],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    said = {key: value if isinstance(value, str) else json.dumps(value) for key, value in asdict(described).items()}
    program.model.metadata_props.update(said)
    program.save(path)


def to_torch(members: list[Loaded], described: Described, path: Path) -> None:
    """A program for `torch.export.load`, which needs torch alone; what it says of itself lies in `described.json`."""
    torch.export.save(
        _traced(members, described.size), path, extra_files={"described.json": json.dumps(asdict(described))}
    )


def to_safetensors(members: list[Loaded], described: Described, path: Path) -> None:
    """Weights and settings, without code, optimizer and callbacks; the other commands take it as `ckpt_path`."""
    if len(members) > 1:
        raise UserError("format=safetensors holds one classifier. Export each of them, or choose onnx or torch.")
    member = members[0]
    checkpoint = read_checkpoint(member.path)
    checkpoint["hyper_parameters"]["tta"] = member.classifier.hparams.tta
    chosen = {"threshold": member.classifier.threshold, "rule": member.rule, "max_fpr": member.max_fpr}
    checkpoint["fakereal"] |= chosen
    write_safetensors(checkpoint, path)


def ask_onnx(path: Path) -> Ask:
    """Probabilities (B,) of images uint8 (B, 3, H, W), by onnxruntime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["prob_fake"], {"images": images})[0]


def ask_torch(path: Path) -> Ask:
    """As `ask_onnx`, by torch alone."""
    program = torch.export.load(path).module()
    return lambda images: program(torch.from_numpy(images))[0].detach().numpy()


def ask_safetensors(path: Path) -> Ask:
    """As `ask_onnx`, by the classifier that the file holds."""
    return ask_members([load_classifier(path)])


def ask_members(members: list[Loaded]) -> Ask:
    """As `ask_onnx`, by the classifiers themselves."""
    network = Ensemble(members)

    @torch.inference_mode()
    def ask(images: np.ndarray) -> np.ndarray:
        return combine(network(torch.from_numpy(images)).numpy())

    return ask


FORMATS = {
    "onnx": (".onnx", to_onnx, ask_onnx),
    "torch": (".pt2", to_torch, ask_torch),
    "safetensors": (".safetensors", to_safetensors, ask_safetensors),
}


def _traced(members: list[Loaded], size: int) -> torch.export.ExportedProgram:
    """The graph for any number of images, traced with two: one would be taken for a constant."""
    images = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    shapes = {"images": {0: torch.export.Dim("batch", min=1)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.export.export(Exported(members).eval(), (images,), dynamic_shapes=shapes)


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"format=onnx needs {error.name}: {installing('export')}. Or choose format=torch or safetensors."
        ) from None
