"""Images per second of `fakereal.predict` on a folder, against what its parts allow."""

from collections.abc import Iterator
from pathlib import Path

from fakereal.benchmarking.bench import MANY, Bench, Row
from fakereal.benchmarking.figures.training import work

TRAINED_ON = 2_048
VALIDATED_ON = 0.2  # of these: enough that the checkpoint knows what images lie far, which costs time as well


def predicting(bench: Bench, batch_size: int) -> Iterator[Row]:
    """The command, without what it takes for a single image, against 1 / (1 / decoding + 1 / forward pass)."""
    tree = bench.tree(MANY) / "train"
    one = next((tree / "REAL").iterdir())
    run = bench.folder / "runs" / "predicted"
    words = [*work(bench, "cnn", TRAINED_ON, batch_size), f"data.val_fraction={VALIDATED_ON}", "trainer.max_epochs=1"]
    bench.command("train", *words, f"hydra.run.dir={run}")
    checkpoint = run / "checkpoints" / "best.ckpt"
    parts = "fakereal.benchmarking.loops.parts"
    commands = {
        "decode": [parts, str(tree), "decode"],
        "forward": [parts, str(checkpoint), "forward", str(MANY), str(batch_size), *bench.overrides],
    }
    ours, limits = [], []
    with bench.contenders(commands, "predict") as racing:
        for contender in racing:
            contender.lap()
        for number in range(bench.repeats):
            rates = [contender.lap() for contender in racing]
            limits.append(1 / sum(1 / rate for rate in rates))
            alone = _predict(bench, checkpoint, one, f"one_{number}")
            ours.append(MANY / (_predict(bench, checkpoint, tree, f"all_{number}") - alone))
    yield Row.ratio(
        "predict", f"cnn, {MANY:,} JPEG files of 32 px", "its parts, one after the other", "images/s", ours, limits,
        wanted=0.9,
    )  # fmt: skip


def _predict(bench: Bench, checkpoint: Path, images: Path, name: str) -> float:
    out = f"hydra.run.dir={bench.folder / 'predictions' / name}"
    return bench.command("predict", f"ckpt_path={checkpoint}", f"images={images}", *bench.overrides, out)
