"""How commands end in a shell."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest

from fakereal.config.command import start
from fakereal.runtime.errors import UserError


@pytest.mark.parametrize(
    ("given", "more", "why"),
    [
        ("hydra.run.dir=file", (), "File exists"),
        ("hydra.run.dir=file/below", (), "Not a directory"),
        ("hydra.sweep.dir=file/below", ("--multirun", "seed=1,2"), "Not a directory"),
    ],
)
def test_a_folder_for_output_that_cannot_be_had(run, tmp_path, given, more, why):
    (tmp_path / "file").write_text("precious")
    stopped = run("train", "data=synthetic", given, *more)
    assert (stopped.code, stopped.text) == (1, f"{given} cannot be written ({why}). Give another one.\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_a_folder_in_which_another_commands_results_lie(run, trained_run, tmp_path):
    folder = trained_run()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    best = f"ckpt_path={folder / 'checkpoints' / 'best.ckpt'}"
    for command, *words in (("predict", best, "images=in"), ("test", best), ("explore", "data=synthetic"), ("report",)):
        refused = run(command, *words, "hydra.run.dir=run")
        assert refused.code == 1, refused.text
        assert f"hydra.run.dir=run holds what fakereal.train left, which fakereal.{command} would" in refused.text
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_an_interrupt_that_lightning_made_an_exit_of(capsys):
    def interrupted():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    with pytest.raises(SystemExit) as end:
        start(interrupted)
    assert end.value.code == 130 and capsys.readouterr().err == "Interrupted\n"
    with pytest.raises(SystemExit) as end:
        start(lambda: sys.exit(1))
    assert end.value.code == 1


def test_help_lists_what_the_command_is_composed_of_and_ends_where_nobody_reads_on(run):
    groups = {
        line.split(":")[0]
        for line in run("test", "--help").text.split("== Choices")[1].split("== All keys")[0].splitlines()[1:]
    }
    assert groups - {""} == {"data", "data/augment", "trainer"}
    command = subprocess.Popen(
        [sys.executable, "-m", "fakereal.train", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    command.stdout.close()  # as `head -0` does
    assert (command.communicate(timeout=60)[1], command.returncode) == ("", 141)


def test_a_stream_that_cannot_say_a_name_says_it_otherwise(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", narrow)
    start(lambda: print("猫.png", flush=True))
    assert narrow.buffer.getvalue() == b"\\u732b.png\n"


def test_an_interrupt_ends_with_a_word(tmp_path, image_tree):
    tree = image_tree(tmp_path / "tree", 2, side=64)
    for folder in (tree / "train" / "REAL", tree / "train" / "FAKE"):
        first = next(folder.iterdir())
        for number in range(20_000):
            os.link(first, folder / f"more {number}.jpg")
    words = [sys.executable, "-m", "fakereal.explore", "data=folder", "data.root=tree", "data.size=64"]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for line in process.stderr:
        if "Decoding" in line:
            break
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "Traceback" not in rest, rest
    assert "decoded images are kept" in rest and rest.rstrip().endswith("Interrupted")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files there")
def test_a_full_disk_is_told_before_any_work(tmp_path):
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "from fakereal.runs.output_folder import _try; _try('hydra.run.dir', sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1 and "cannot be written (File too large)" in done.stderr


def test_a_mistake_is_told_in_its_message_alone(run, quick, tmp_path, monkeypatch):
    for words in (("test", "ckpt_path=none.ckpt"), ("train", *quick, "scheduler=onecycle", "optimizer.lr=-1")):
        done = run(*words)
        assert done.code == 1 and "Error executing job" not in done.text and "HYDRA_FULL_ERROR" not in done.text
    assert done.text == "`optimizer.lr` must be greater than 0, got -1.\n"
    assert run("train", "--multirun", *quick[:-1], "sweep=mine", "optimizer.lr=-1,-2").code == 1
    for job, rate in (("0", -1), ("1", -2)):  # the one did not end the other
        error = tmp_path / "outputs" / "sweep" / "mine" / job / "error.txt"
        assert error.read_text() == f"UserError: `optimizer.lr` must be greater than 0, got {rate}.\n"
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(UserError):
        run("test", "ckpt_path=none.ckpt")
