"""Runs on the same files, stored at two sizes, in one report."""

import csv
import json


def test_a_sweep_over_the_stored_size_is_one_report(run, image_tree, tmp_path):
    tree = image_tree(tmp_path / "tree", 40, side=48)
    network = ("model=timm", "model.backbone=test_resnet", "model.image_size=32", "model.pretrained=false")
    words = (*network, "data=folder", f"data.root={tree}", "data.batch_size=16", "trainer.max_epochs=1", "threads=1")
    sweep = "outputs/sweep/sizes"
    finished = run("train", "--multirun", *words, "data.size=24,32", f"hydra.sweep.dir={sweep}")
    assert finished.code == 0, finished.text
    for job in (0, 1):
        finished = run("test", f"ckpt_path={sweep}/{job}/checkpoints/best.ckpt", f"hydra.run.dir=outputs/test/{job}")
        assert finished.code == 0, finished.text
    assert "Look 2 at this test split" in finished.text, "the same images at another size are the same images"

    finished = run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report")
    assert finished.code == 0 and "Left out" not in finished.text, finished.text
    with (tmp_path / "report" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["data.size"] for row in rows) == ["24", "32"]
    assert len({row["data_digest"] for row in rows}) == 2 and all(row["test/accuracy"] for row in rows)
    markdown = (tmp_path / "report" / "report.md").read_text()
    assert "these images were looked at 2 times, with 2 different checkpoints" in markdown
    assert "McNemar" in markdown

    # an earlier version did not say which files: its runs are of the size that most are
    path = tmp_path / sweep / "0" / "provenance.json"
    said = json.loads(path.read_text())
    del said["data"]["files"]
    path.write_text(json.dumps(said))
    finished = run("report", "runs=outputs", "resamples=100", "hydra.run.dir=report")
    assert "trained on other data (Folder" in finished.text
