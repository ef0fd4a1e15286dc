"""Directories that cannot be reported are named and left out; the report of the others still comes."""

import csv
import json
import shutil

import pytest


@pytest.fixture
def told(run, tmp_path):
    """Runs the report; the printed text without line ends, and how many runs it has."""

    def call(*words):
        finished = run("report", *words, "resamples=100", "hydra.run.dir=report")
        assert finished.code == 0, finished.text
        with (tmp_path / "report" / "results.csv").open() as file:
            rows = list(csv.DictReader(file))
        page = (tmp_path / "report" / "report.md").read_text()
        return finished.text, page, len(rows)

    return call


def unfinished(folder, change):
    (folder / "metrics.json").unlink()


def never_began(folder, change):
    for name in ("csv", "checkpoints"):
        shutil.rmtree(folder / name)
    (folder / "metrics.json").unlink()


def half_written(folder, change):
    text = (folder / "metrics.json").read_text()
    (folder / "metrics.json").write_text(text[: len(text) // 2])


def half_written_provenance(folder, change):
    (folder / "provenance.json").write_text('{"time": "20')


def a_list(folder, change):
    (folder / "metrics.json").write_text("[1, 2]")


def not_text(folder, change):
    (folder / "metrics.json").write_bytes(b"\xff\xfe\x00{")


def older(folder, change):
    change(folder / "metrics.json", {"val/auroc": None})


def older_provenance(folder, change):
    change(folder / "provenance.json", {"data": {"class": "Synthetic"}})


def not_a_number(folder, change):
    change(folder / "metrics.json", {"val/loss": float("nan")})


def in_percent(folder, change):
    change(folder / "metrics.json", {"val/accuracy": 92.5})


def failed(folder, change):
    (folder / "error.txt").write_text("UserError: the loss was not finite\n")


def another_dataset(folder, change):
    change(folder / "provenance.json", {"data": {"class": "Folder", "digest": "f" * 64, "splits": {}}})


def broken_config(folder, change):
    (folder / ".hydra" / "config.yaml").write_text("seed: [1\n")


def no_config(folder, change):
    shutil.rmtree(folder / ".hydra")


def copied(folder, change):
    shutil.rmtree(folder)
    shutil.copytree(folder.parent / "0", folder)


DAMAGES = {
    unfinished: "not finished",
    never_began: "training never started",
    half_written: "metrics.json cannot be read, perhaps half-written",
    half_written_provenance: "provenance.json cannot be read, perhaps half-written",
    a_list: "metrics.json is not a JSON object (its type is list)",
    not_text: "metrics.json cannot be read",
    older: "metrics.json has no val/auroc: it was written by another version",
    older_provenance: "provenance.json has no data.digest",
    not_a_number: "val/loss=nan",
    in_percent: "val/accuracy=92.5",
    failed: "failed: UserError: the loss was not finite",
    another_dataset: "trained on other data (Folder ffffffffffff",
    broken_config: "config.yaml cannot be read",
    no_config: "it has no .hydra/config.yaml",
    copied: "a copy of outputs/sweep/lr/0",
}


def test_each_is_named_and_left_out_and_the_others_are_reported(told, outputs, change):
    for number, damage in enumerate(DAMAGES):
        folder = outputs / "sweep" / "lr" / damage.__name__
        shutil.copytree(outputs / "sweep" / "lr" / "5", folder)
        change(folder / "metrics.json", {"checkpoint_digest": f"{number:064}"})
        damage(folder, change)
    text, page, count = told("runs=outputs")
    assert count == 6
    for damage, reason in DAMAGES.items():
        where = f"outputs/sweep/lr/{damage.__name__}"
        [line] = [line for line in text.splitlines() if line.startswith(f"Left out: {where}: ")]
        assert reason in line
        assert f"| {where} | " in page.split("## Left out")[1]


def test_an_unfinished_run_comes_with_the_command_that_resumes_it(told, outputs, change):
    unfinished(outputs / "sweep" / "lr" / "5", change)
    text, *_ = told("runs=outputs")
    [line] = [line for line in text.splitlines() if "not finished" in line]
    command = line.split("resume it with: ")[1]
    assert command.startswith("python -m fakereal.train data=synthetic data.count=400 ")
    assert command.endswith(f" hydra.mode=RUN hydra.run.dir={outputs / 'sweep' / 'lr' / '5'} ckpt_path=last")
    assert " seed=2 " in command

    path = outputs / "sweep" / "lr" / "5" / ".hydra" / "overrides.yaml"
    path.write_text(path.read_text() + "- sweep=lr\n")  # which a single run refuses
    assert "sweep=lr" not in told("runs=outputs")[0].split("resume it with: ")[1].split("ckpt_path=last")[0]


def test_a_folder_may_be_named_by_what_only_looks_like_a_number(told, outputs):
    shutil.copytree(outputs / "sweep" / "lr" / "5", outputs / "sweep" / "lr" / "10²")
    assert told("runs=outputs")[2] == 6, "it is the same run twice"


def test_of_two_datasets_with_as_many_runs_the_newer_is_reported(told, outputs, change):
    for job in (3, 4, 5):
        data = {"class": "Folder", "digest": "f" * 64, "splits": {}}
        stamp = {"data": data, "time": "2999-01-01T00:00:00+0000"}
        change(outputs / "sweep" / "lr" / str(job) / "provenance.json", stamp)
    text, _, count = told("runs=outputs")
    assert count == 3 and "Left out: outputs/sweep/lr/0: trained on other data (Synthetic" in text


def test_nothing_usable_is_a_clear_error(run, outputs, change, tmp_path):
    for job in range(6):
        half_written(outputs / "sweep" / "lr" / str(job), change)
    (tmp_path / "empty").mkdir()
    for words, parts in (
        (["runs=outputs"], ["there is no finished run", "outputs/sweep/lr/3: metrics.json cannot be read"]),
        (["runs=empty"], ["runs=empty: there is no finished run", "Give runs=DIR"]),
        (["runs=no/where (1)"], ["no/where (1): runs= names no directory there"]),
        (["resamples=5"], ["`resamples` must be", "got 5"]),
        (["monitor=accuracy"], ["`monitor` must be", "'val/accuracy'"]),
    ):
        finished = run("report", *words, "hydra.run.dir=report")
        assert finished.code == 1 and "Traceback" not in finished.text
        assert all(part in finished.text for part in parts), finished.text
        assert not (tmp_path / "report" / "report.html").exists()


def test_a_path_that_names_nothing_is_told_beside_the_others(told, outputs):
    (outputs.parent / "empty").mkdir()
    text, _, count = told("runs=[outputs,nowhere/*,empty]", "tests=missing")
    assert count == 6
    assert "Left out: empty: nothing below it was written by fakereal" in text
    assert "Left out: nowhere/*: runs= names no directory there" in text
    assert "Left out: missing: tests= names no directory there" in text


def rewrite(path, change_rows):
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *change_rows(rows)])


def test_predictions_are_aligned_by_path(told, outputs):
    _, before, _ = told("runs=outputs")
    rewrite(outputs / "test" / "1" / "predictions.csv", lambda rows: rows[::-1])
    _, after, _ = told("runs=outputs")
    pairs = [page.split("## Pairs of tests")[1].split("##")[0] for page in (before, after)]
    assert pairs[0] == pairs[1] and pairs[0].count("| 80 |") == 3


def test_a_pair_on_different_images_is_refused_by_name(told, outputs):
    other = lambda rows: [["synthetic/999999", *rows[0][1:]], *rows[1:]]  # noqa: E731
    rewrite(outputs / "test" / "1" / "predictions.csv", other)
    text, page, _ = told("runs=outputs")
    assert "Not compared: #" in text and "(lr/1)" in text
    assert "the predictions cover different images (80 and 80 images, 79 shared)" in text
    section = page.split("## Pairs of tests")[1].split("##")[0]
    assert section.count("| 80 |") == 1, "the one pair that is left"
    assert section.count("cover different images") == 2


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda rows: rows[:-3], "has 77 rows for 80 images"),
        (lambda rows: [rows[1], *rows[1:]], "names an image twice"),
        (lambda rows: [[*rows[0][:2], "high", rows[0][3]], *rows[1:]], "cannot be read"),
        (lambda rows: [[rows[0][0], "", *rows[0][2:]], *rows[1:]], "a label that is not a class: ''"),
        (lambda rows: [[*rows[0][:2], "nan", rows[0][3]], *rows[1:]], "a probability that is not a number"),
    ],
)
def test_predictions_that_cannot_be_used_are_named(told, outputs, damage, reason):
    rewrite(outputs / "test" / "1" / "predictions.csv", damage)
    text, page, _ = told("runs=outputs")
    [line] = [line for line in text.splitlines() if "outputs/test/1: not compared in pairs" in line]
    assert reason in line
    assert page.split("## Pairs of tests")[1].split("##")[0].count("| 80 |") == 1


def test_broken_tests_are_named_and_tests_of_strangers_too(told, outputs, change):
    change(outputs / "test" / "0" / "metrics.json", {"test/auroc_low": None})
    (outputs / "test" / "1" / "metrics.json").write_text("{")
    change(outputs / "test" / "2" / "metrics.json", {"checkpoint_digest": "0" * 64})
    text, page, count = told("runs=outputs")
    assert count == 6 and "Pairs of tests" not in page
    assert "Left out: outputs/test/0: a test result: metrics.json has no test/auroc_low" in text
    assert "Left out: outputs/test/1: a test result: metrics.json cannot be read" in text
    assert "Left out: outputs/test/2: a test result of a checkpoint that belongs to no run" in text
    assert "outputs/test/2" not in told("runs=outputs/sweep")[0], "beside the runs, other tests are expected"


@pytest.mark.parametrize(
    ("said", "caution"),
    [
        ({"threads": 7}, "the runs had different numbers of threads; their seconds are not comparable"),
        ({"cpu": "another"}, "the runs come from 2 kinds of hardware; their seconds are not comparable"),
        ({}, ""),
    ],
)
def test_seconds_of_other_machines_or_threads_are_not_compared_in_silence(told, outputs, change, said, caution):
    path = outputs / "sweep" / "lr" / "3" / "provenance.json"
    change(path, {"hardware": {**json.loads(path.read_text())["hardware"], **said}})
    page = told("runs=outputs")[1]
    assert caution in page and ("are not comparable" in page) == bool(caution)
