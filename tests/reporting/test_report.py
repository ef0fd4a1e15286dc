"""The report of a real sweep: what it says, against what the runs themselves say."""

import csv
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from fakereal.evaluation.intervals import t_interval, wilson

LEAKED = "test/without_leaked/accuracy"


@pytest.fixture
def report(run, tmp_path):
    """`report("key=value", ...)`: what the command printed, the page, its Markdown, and the rows of results.csv."""

    def call(*words, code=0):
        finished = run("report", *words, "resamples=100", "hydra.run.dir=report")
        assert finished.code == code, finished.text
        if code:
            return finished.text
        folder = tmp_path / "report"
        with (folder / "results.csv").open() as file:
            rows = list(csv.DictReader(file))
        return finished.text, (folder / "report.html").read_text(), (folder / "report.md").read_text(), rows

    return call


def metrics_of(outputs, job):
    return json.loads((outputs / "sweep" / "lr" / str(job) / "metrics.json").read_text())


def section(markdown, title):
    return markdown.split(f"## {title}\n")[1].split("\n## ")[0]


def cells(markdown, title):
    """Rows of the first table of a section, as dicts."""
    lines = [line for line in section(markdown, title).splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line.strip(" ")[1:-1].split("|")] for line in lines]
    return [dict(zip(header, row, strict=False)) for row in rows]


def test_the_conclusion_comes_first_with_the_winner_and_its_command(report, outputs):
    text, page, markdown, rows = report("runs=outputs")
    every = [metrics_of(outputs, job) for job in range(6)]
    highest = max(said["val/accuracy"] for said in every)
    assert float(rows[0]["val/accuracy"]) == highest
    body = page.split("<body>")[1]
    assert body.index("Winner: ") < body.index("<h2>") and f"{highest:.2%}" in body.split("<h2>")[0]
    [command] = re.findall(r"python -m fakereal\.test ckpt_path=\S+", markdown.split("## ")[0])
    winner = outputs / "sweep" / "lr" / rows[0]["run"].rsplit("/", 1)[1]
    assert command.endswith(str(winner / "checkpoints" / "best.ckpt"))
    tested = rows[0]["test/accuracy"] != ""
    assert ("The winner was picked by validation" in text, "It has not been tested yet" in text) == (tested, not tested)
    assert command in text
    assert text.index("Winner: ") < text.index("Report: ")


def test_results_csv_holds_every_run_unrounded_with_intervals(report, outputs):
    *_, rows = report("runs=outputs/sweep")
    assert [int(row["rank"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        said = metrics_of(outputs, row["run"].rsplit("/", 1)[1])
        assert {key: row[key] for key in said} == {key: str(value) for key, value in said.items()}
        low, high = wilson(round(said["val/accuracy"] * said["val/images"]), said["val/images"])
        assert (float(row["val/accuracy_low"]), float(row["val/accuracy_high"])) == (low, high)
    tested = [row for row in rows if row["test/accuracy"]]
    assert {row["run"].rsplit("/", 1)[1] for row in tested} == {"0", "1", "2"}
    for row in tested:
        there = json.loads((outputs / "test" / row["run"].rsplit("/", 1)[1] / "metrics.json").read_text())
        assert row["test/auroc_high"] == str(there["test/auroc_high"]) and row["test_looks"] == "1"


def test_seeds_are_grouped_and_nothing_else(report, outputs):
    _, _, markdown, rows = report("runs=outputs")
    assert [row["optimizer.lr"] for row in rows if row["settings"] == rows[0]["settings"]] == [
        rows[0]["optimizer.lr"]
    ] * 3
    for job, rate in ((0, "0.003"), (1, "0.0003")):
        values = [metrics_of(outputs, job + 2 * seed)["val/accuracy"] for seed in range(3)]
        [row] = [
            r for r in cells(markdown, "Over seeds") if r["settings"] == f"lr={rate}" and r["figure"] == "val accuracy"
        ]
        low, high = t_interval(values)
        assert row["mean"] == f"{np.mean(values):.2%}" and row["seeds"] == "3"
        assert row["standard deviation"] == f"{np.std(values, ddof=1):.2%}"
        assert row["95% t-interval of the mean"] == f"{low:.2%} to {high:.2%}"


def test_figures_without_leaked_images_are_summed_up_over_seeds(report, outputs, change):
    for job, accuracy in ((0, 0.5), (2, 0.75)):
        figures = {f"{LEAKED}{end}": accuracy for end in ("", "_low", "_high")}
        change(outputs / "test" / str(job) / "metrics.json", figures)
    _, _, markdown, _ = report("runs=outputs")
    [row] = [row for row in cells(markdown, "Over seeds") if row["figure"] == "test, without leaked"]
    assert (row["settings"], row["seeds"], row["mean"]) == ("lr=0.003", "2", "62.50%")


def test_all_pairs_of_tests_are_compared_and_other_images_stand_apart(report, outputs):
    _, _, markdown, rows = report("runs=outputs")
    pairs = cells(markdown, "Pairs of tests")
    assert len(pairs) == 3 and {row["images"] for row in pairs} == {"80"}
    said = {}
    for row in rows:
        if row["test/accuracy"]:
            with (outputs / "test" / row["run"].rsplit("/", 1)[1] / "predictions.csv").open() as file:
                said[f"#{row['rank']}"] = [r["label"] == r["prediction"] for r in csv.DictReader(file)]
    for row in pairs:
        first, second = (np.array(said[name]) for name in row["pair"].split(" and "))
        assert int(row["only the first right"]) == (first & ~second).sum()
        assert int(row["only the second right"]) == (second & ~first).sum()
        assert float(row["p after Holm"].strip("\\<")) >= float(row["McNemar p"].strip("\\<"))
    [elsewhere] = cells(markdown, "On other images")
    assert elsewhere["images"] == "24" and elsewhere["data"] == "data.count=120"


def test_tests_on_the_same_other_images_are_compared_too(run, report, outputs):
    checkpoint = outputs / "sweep" / "lr" / "1" / "checkpoints" / "best.ckpt"
    words = ("data.count=120", "hydra.run.dir=outputs/test/there", "threads=1")
    assert run("test", f"ckpt_path={checkpoint}", *words).code == 0
    _, _, markdown, rows = report("runs=outputs")
    rank = {row["run"].rsplit("/", 1)[1]: row["rank"] for row in rows}
    pairs = cells(markdown, "Pairs of tests")
    assert sorted(row["images"] for row in pairs) == ["24", "80", "80", "80"]
    [other] = [row["pair"] for row in pairs if row["images"] == "24"]
    assert set(other.split(" and ")) == {f"#{rank[job]} on data.count=120" for job in ("0", "1")}
    assert "Refused" not in markdown, "tests on different images are no pair that was asked for"


def test_the_page_needs_no_network_and_says_its_figures_in_words(report, outputs, tmp_path):
    _, page, markdown, _ = report("runs=outputs")
    assert not re.search(
        r"""(src|href|xlink:href)\s*=\s*["'](?!\#|data:image)|url\((?!\#)|@import|<script|<link""", page
    )
    charts = re.findall(r"!\[[^\]]+\]\((figures/(?!gallery)\w+\.png)\)", markdown)
    assert len(charts) == 4, "loss, accuracy, cost and learning rate"
    assert all((tmp_path / "report" / chart).read_bytes().startswith(b"\x89PNG") for chart in charts)
    assert page.count("<svg") == 4 and page.count('role="img"') == 4
    for name in re.findall(r'aria-labelledby="(\S+)-title \S+"', page):
        assert re.search(rf'<title id="{name}-title">[^<]+</title><desc id="{name}-desc">[^<]+</desc>', page)
    identifiers = re.findall(r'\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert set(re.findall(r'(?:url\(|href=")#([^")]+)', page)) <= set(identifiers)
    assert "#010203" not in page and "currentColor" in page, "the ink of the figures follows the theme"


def test_a_test_whose_results_lie_elsewhere_is_no_test_that_was_not_made(run, report, outputs):
    best = outputs / "sweep" / "lr" / "4"
    words = ("hydra.run.dir=elsewhere", "ledger=outputs/test_ledger.jsonl")
    assert run("test", f"ckpt_path={best / 'checkpoints' / 'best.ckpt'}", *words).code == 0
    text, *_ = report(f"runs={best}", "ledger=outputs/test_ledger.jsonl")
    assert "It was tested (1 in the ledger), but there is no result where this report looks (tests=)." in text


def test_a_single_run_reads_well(report, outputs, change):
    counts = {"val/tn": 11, "val/fp": 5, "val/fn": 7, "val/tp": 9}
    change(outputs / "sweep" / "lr" / "4" / "metrics.json", counts)
    text, page, markdown, rows = report("runs=outputs/sweep/lr/4", "title=Just one")
    assert len(rows) == 1 and "<title>Just one</title>" in page and "<h1>Just one</h1>" in page
    assert "Winner" not in text and "Second" not in text and "The only run" in text
    assert "It has not been tested yet. Test it:" in text
    for title in ("Over seeds", "Pairs of tests", "Accuracy against", "Left out", "Against the published"):
        assert f"## {title}" not in markdown
    [matrix] = cells(markdown, "Confusion matrices")
    assert list(matrix.values())[1:] == ["11", "5", "7", "9"] and "4: validation" in matrix[""]
    assert "## Learning curves" in markdown and "## How to read the intervals" in markdown


def test_directories_come_as_paths_lists_and_globs_and_count_once(report, outputs, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "disk").symlink_to(outputs / "sweep")
    (outputs / "sweep" / "circle").symlink_to(tmp_path / "linked")
    for words, count in (
        ("runs=[outputs/sweep/lr/0,outputs/sweep/lr/1]", 2),
        ("runs='outputs/**/[2-5]'", 4),
        ("runs=[outputs,outputs/sweep,outputs/sweep/lr/0]", 6),
        ("runs=linked", 6),
    ):
        assert len(report(words)[-1]) == count


def test_a_loss_picks_the_lowest(report, outputs):
    text, *_, rows = report("runs=outputs", "monitor=val/loss")
    losses = [float(row["val/loss"]) for row in rows]
    assert losses == sorted(losses) and "the lowest val/loss" in text


def test_the_newest_look_counts_and_looks_are_told(report, outputs, change):
    looks = [
        ("again", [], "2997", 0.125),
        ("flipped", ["tta=flip"], "2998", 0.25),
        ("cut", ["threshold=0.9"], "2999", 0.5),
    ]
    for name, words, year, auroc in looks:
        shutil.copytree(outputs / "test" / "0", outputs / "test" / name)
        provenance = {"time": f"{year}-01-01T00:00:00+0000", "overrides": ["ckpt_path=x", *words]}
        change(outputs / "test" / name / "provenance.json", provenance)
        tta = {"tta": "flip"} if name == "flipped" else {}
        change(outputs / "test" / name / "metrics.json", {"test/auroc": auroc, **tta})
    _, _, markdown, rows = report("runs=outputs/sweep")
    assert "tested with" not in markdown, "another threshold and augmentation are tried, and not the runs' own"
    [row] = [row for row in rows if row["run"].endswith("/0")]
    assert row["test_looks"] == "4" and row["test/auroc"] == "0.125" and row["test"].endswith("again")
    for name in ("0", "again"):
        shutil.rmtree(outputs / "test" / name)
    _, _, markdown, rows = report("runs=outputs/sweep")
    assert sorted(row["tested with"] for row in cells(markdown, "Runs"))[-1].endswith("threshold=0.9")


def test_an_ensemble_has_its_own_table_and_is_compared(run, report, outputs):
    members = ",".join(str(outputs / "sweep" / "lr" / str(job) / "checkpoints" / "best.ckpt") for job in (1, 2))
    finished = run("test", f"ckpt_path=[{members}]", "hydra.run.dir=outputs/test/both", "threads=1")
    assert finished.code == 0, finished.text
    _, _, markdown, rows = report("runs=outputs")
    rank = {row["run"].rsplit("/", 1)[1]: row["rank"] for row in rows}
    [row] = cells(markdown, "Ensembles")
    assert row["members"] == f"#{rank['1']}, #{rank['2']}" and row["images"] == "80"
    assert run("test", f"ckpt_path=[{members}]", "hydra.run.dir=outputs/test/more", "threads=1").code == 0
    both = ", ".join(sorted((f"#{rank['1']}", f"#{rank['2']}")))
    assert f"{both} together (2 times)" in report("runs=outputs")[2]
    pairs = [row["pair"] for row in cells(markdown, "Pairs of tests")]
    assert len(pairs) == 6 and sum(pair.startswith("E1 and #") for pair in pairs) == 3


def test_the_published_figure_stands_beside_ours(report, outputs, change):
    for job in range(6):
        for where in ("val", "test")[job % 2 :][:1]:
            stated = {"accuracy": 0.03, "split": where, "source": "a paper | 2026"}
            change(outputs / "sweep" / "lr" / str(job) / ".hydra" / "config.yaml", {"published": stated})
    _, _, markdown, rows = report("runs=outputs")
    told = {
        row["settings"]: row for row in map(dict, cells(markdown.replace(r"\|", "/"), "Against the published figures"))
    }
    assert set(told) == {"lr=0.003", "lr=0.0003"}
    assert told["lr=0.003"]["published"] == "3.00% (val)" and "3 seeds, t-interval" in told["lr=0.003"]["ours"]
    assert told["lr=0.003"]["published lies"].endswith("where one more seed may lie")
    assert told["lr=0.0003"]["published"] == "3.00% (test)" and "one run, Wilson" in told["lr=0.0003"]["ours"]
    assert told["lr=0.003"]["source"] == "a paper / 2026"
    [tested] = [row for row in rows if row["run"].endswith("/1")]
    assert tested["published_lies"] == "below our interval"
    [untested] = [row for row in rows if row["run"].endswith("/5")]
    assert untested["published_lies"] == "we have not tested"


def test_runs_that_differ_in_many_settings_go_by_their_names(report, outputs, change):
    keys = ("init_from", "threads", "deterministic", "tracked", "other", "more")
    for job in range(6):
        hydra = outputs / "sweep" / "lr" / str(job) / ".hydra"
        change(hydra / "config.yaml", {f"callbacks.{key}": {"x": job} for key in keys})
        words = (hydra / "overrides.yaml").read_text()
        (hydra / "overrides.yaml").write_text(words + "".join(f"- +callbacks.{key}.x={job}\n" for key in keys))
    text, _, markdown, rows = report("runs=outputs")
    [best] = [row for row in rows if row["rank"] == "1"]
    assert f"Winner: lr/{best['run'].rsplit('/', 1)[1]}, " in text, text
    assert "callbacks" not in markdown.split("## ")[0]


def test_what_the_user_typed_is_shown_and_not_run(report, outputs, change):
    nasty = "<script>alert(1)</script>"
    for job in range(6):
        hydra = outputs / "sweep" / "lr" / str(job) / ".hydra"
        change(hydra / "config.yaml", {"init_from": f"{nasty}{job % 2}$x$"})
        words = (hydra / "overrides.yaml").read_text()
        (hydra / "overrides.yaml").write_text(f"{words}- init_from={nasty}{job % 2}$x$\n")
    (outputs / "sweep" / "lr").rename(outputs / "sweep" / "<b>&'")
    _, page, markdown, _ = report("runs=outputs", f"title='{nasty}'")
    assert "<script" not in page and page.count("&lt;script&gt;alert(1)&lt;/script&gt;0") >= 3
    assert f"<title>{nasty.replace('<', '&lt;').replace('>', '&gt;')}</title>" in page and "<b>" not in page
    assert not re.search(r"(?<!\\)<script", markdown) and r"\<script\>" in markdown


def test_the_command_starts_without_torch(outputs, tmp_path):
    code = (
        "import sys; sys.argv = ['report.py', 'runs=outputs', 'resamples=100', 'hydra.run.dir=report']\n"
        "import fakereal.sweeps.results; light = {'scipy', 'matplotlib', 'jinja2', 'torch'}\n"
        "assert not light & set(sys.modules), light & set(sys.modules)\n"
        "from fakereal.report import main; main(); assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "report.html").exists()


def test_the_ledger_tells_how_often_the_test_split_was_looked_at(report, run, made, outputs):
    _, _, markdown, rows = report("runs=outputs")
    assert len(cells(markdown, "Looks at the test split")) == 3, "not the look at other images"
    assert "looked at 3 times, with 3 different checkpoints" in markdown and "more than once" not in markdown
    job = next(row["run"].rsplit("/", 1)[1] for row in rows if row["test/accuracy"])
    best = outputs / "sweep" / "lr" / job / "checkpoints" / "best.ckpt"
    assert run("test", f"ckpt_path={best}", "hydra.run.dir=outputs/again").code == 0
    shutil.rmtree(outputs / "again")  # the result may be gone, the look is not
    _, _, markdown, rows = report("runs=outputs")
    rank = next(row["rank"] for row in rows if row["run"].rsplit("/", 1)[1] == job)
    assert f"#{rank} (2 times)" in section(markdown, "Looks at the test split")
    assert next(row["test_looks"] for row in rows if row["rank"] == rank) == "2"
    _, _, markdown, _ = report("runs=outputs", "ledger=none.jsonl")
    assert "## Looks at the test split" not in markdown
