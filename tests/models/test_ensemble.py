"""Several checkpoints tested as one, and test-time augmentation."""

import csv
import json

import numpy as np
import pytest
import torch

from fakereal.models.checkpoint import load_classifier
from fakereal.models.ensemble import load_members


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return tmp_path_factory.mktemp("trained") / "sweep"


@pytest.fixture
def checkpoints(run, quick, sweep):
    """Three seeds of a tiny network, trained once: their best.ckpt."""
    if not sweep.exists():
        words = (f"hydra.sweep.dir={sweep}", "seed=0,1,2", "data.test_fraction=0.5")
        finished = run("train", "--multirun", *quick[:-1], *words)
        assert finished.code == 0, finished.text
    return [sweep / str(number) / "checkpoints" / "best.ckpt" for number in range(3)]


def probabilities(folder):
    with (folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    return np.array([float(row["prob_fake"]) for row in rows]), [row["label"] for row in rows]


def listed(paths):
    return f"ckpt_path=[{','.join(map(str, paths))}]"


def test_an_ensemble_answers_with_the_mean_probability(run, checkpoints, tmp_path):
    for number, path in enumerate(checkpoints):
        assert run("test", f"ckpt_path={path}", f"hydra.run.dir=t{number}").code == 0
    finished = run("test", listed(checkpoints), "hydra.run.dir=joint")
    assert finished.code == 0, finished.text
    each = [probabilities(tmp_path / f"t{number}") for number in range(3)]
    joint, labels = probabilities(tmp_path / "joint")
    np.testing.assert_allclose(joint, np.mean([p for p, _ in each], axis=0), atol=1e-6)

    metrics = json.loads((tmp_path / "joint" / "metrics.json").read_text())
    alone = [json.loads((tmp_path / f"t{number}" / "metrics.json").read_text()) for number in range(3)]
    assert metrics["checkpoint_digest"] == [one["checkpoint_digest"] for one in alone]
    assert metrics["look"] == 4, "one look, whatever the number of members"
    with (tmp_path / "joint" / "ensemble.csv").open() as file:
        rows = list(csv.DictReader(file))
    fake = np.array([label == "FAKE" for label in labels])
    for number, row in enumerate(rows):
        rest = np.mean([p for index, (p, _) in enumerate(each) if index != number], axis=0)
        assert float(row["alone"]) == alone[number]["test/accuracy"]
        assert float(row["without_it"]) == pytest.approx(((rest >= 0.5) == fake).mean())
        assert float(row["without_it_low"]) <= float(row["without_it"]) <= float(row["without_it_high"])
    assert "ensemble without it" in finished.text


def test_members_that_cannot_answer_together_are_refused(run, quick, checkpoints, tmp_path):
    twice = run("test", listed([checkpoints[0], checkpoints[0]]))
    assert twice.code == 1 and "the same checkpoint" in twice.text and "Give it once" in twice.text
    for word, named in (("data.size=16", "data.size=16"), ("data.split_seed=5", "data.split_seed=5")):
        assert run("train", *quick[:-1], "data.test_fraction=0.5", word, f"hydra.run.dir={word[5:]}").code == 0
        other = tmp_path / word[5:] / "checkpoints" / "best.ckpt"
        finished = run("test", f"ckpt_path=['{checkpoints[0]}','{other}']")
        assert finished.code == 1 and named in finished.text and "agree" in finished.text, finished.text
    assert run("test", "ckpt_path=[]").code == 1
    finished = run("train", *quick, listed(checkpoints[:2]))
    assert finished.code == 1 and "Give one path" in finished.text


def test_flips_make_the_answer_the_same_for_an_image_and_its_mirror(run, quick, tmp_path):
    assert run("train", *quick, "model.tta=flip").code == 0
    checkpoint = tmp_path / "run" / "checkpoints" / "best.ckpt"
    classifier = load_classifier(checkpoint).classifier
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        answers, mirrored = classifier.probabilities(images), classifier.probabilities(images.flip(-1))
        one, other = classifier(images), classifier(images.flip(-1))
    torch.testing.assert_close(answers, mirrored)
    assert not torch.allclose(one, other, atol=1e-4), "without it the network tells them apart"
    torch.testing.assert_close(answers, torch.sigmoid((one + other) / 2))

    for number, words in enumerate(([], ["tta=flip"], ["tta=none"])):
        assert run("test", f"ckpt_path={checkpoint}", f"hydra.run.dir=t{number}", *words).code == 0
    said, flipped, plain = (probabilities(tmp_path / f"t{number}")[0] for number in range(3))
    np.testing.assert_array_equal(said, flipped)
    assert np.abs(said - plain).max() > 1e-4


def test_a_limit_of_false_alarms_is_not_that_of_several(checkpoints, tmp_path, caplog):
    paths = []
    for number, path in enumerate(checkpoints[:2]):
        content = torch.load(path, weights_only=True)
        content["fakereal"] |= {"threshold": 0.9, "rule": "fpr", "max_fpr": 0.01}
        paths.append(str(tmp_path / f"{number}.ckpt"))
        torch.save(content, paths[-1])
    load_members(paths[0])
    assert not caplog.text, "alone it holds"
    load_members(paths)
    assert "0.ckpt has the threshold of a false-positive rate of at most 0.01" in caplog.text
    assert "the mean of their thresholds, 0.9000, for which that rate does not hold" in caplog.text
    caplog.clear()
    assert [member.classifier.threshold for member in load_members(paths, threshold=0.7)] == [0.7, 0.7]
    assert not caplog.text
