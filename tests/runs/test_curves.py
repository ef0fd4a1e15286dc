"""Learning curves, as the CSV logger leaves them."""

from fakereal.runs.curves import mean_curve, read_curves

HEADER = "epoch,step,train/loss,train/accuracy,val/loss,val/accuracy\n"


def test_a_resumed_run_has_one_curve_and_the_later_version_wins(tmp_path):
    for version, lines in (
        (0, "0,9,0.9,0.5,,\n0,9,,,0.8,0.6\n1,19,0.7,0.6,,\n1,19,,,0.75,0.65\n2,2"),
        (2, "1,19,0.6,0.65,,\n1,19,,,0.7,0.7\n2,29,0.5,nan,,\n2,29,,,0.6,0.8\n"),
        (10, "3,39,0.1,0.9,,\n2,29,,,0.55,cut"),
    ):
        (tmp_path / "csv" / f"version_{version}").mkdir(parents=True)
        (tmp_path / "csv" / f"version_{version}" / "metrics.csv").write_text(HEADER + lines)
    curves = read_curves(tmp_path)
    assert curves["train/loss"] == {1: 0.9, 2: 0.6, 3: 0.5, 4: 0.1}
    assert curves["val/loss"] == {1: 0.8, 2: 0.7, 3: 0.55}
    assert curves["val/accuracy"] == {1: 0.6, 2: 0.7, 3: 0.8}, "a figure cut short leaves the older one"
    assert curves["train/accuracy"] == {1: 0.5, 2: 0.65, 4: 0.9}
    assert read_curves(tmp_path / "elsewhere") == {}


def test_a_mean_curve_is_of_the_epochs_that_all_have():
    assert mean_curve([{1: 1.0, 2: 2.0, 3: 9.0}, {1: 3.0, 2: 4.0}, {}]) == {1: 2.0, 2: 3.0}
