"""Slips on the command line that Hydra takes, or refuses with a traceback."""

from pathlib import Path

import pytest

from fakereal.config import CONF


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("+modle=lenet", "`modle` is not used by anything: did you mean `model`?"),
        ("++modle=lenet", "`modle` is not used by anything: did you mean `model`?"),
        ("+qqq=1", "`qqq` is not used by anything: remove it."),
        ("+optmizer.lr=0.5", "`optmizer.lr` is not used by anything: did you mean `optimizer.lr`?"),
    ],
)
def test_a_key_that_nothing_reads_is_told(run, quick, word, said):
    stopped = run("train", *quick, word)
    assert stopped.code == 1 and said in stopped.text and "Traceback" not in stopped.text


def test_a_key_of_a_plain_node_too(run):
    stopped = run("audit", "data=synthetic", "+near.distanc=3")
    assert stopped.code == 1 and "`near.distanc` is not used by anything: did you mean `near.distance`?" in stopped.text


@pytest.mark.parametrize("command", ["predict", "robustness", "explain"])
def test_also_where_there_is_no_training(run, command):
    needed = ("images=.",) if command != "robustness" else ()
    stopped = run(command, "ckpt_path=none.ckpt", *needed, "+ckpt_paht=other.ckpt")
    assert stopped.code == 1 and "`ckpt_paht` is not used by anything: did you mean `ckpt_path`?" in stopped.text


@pytest.mark.parametrize(
    "words",
    [
        ("+rate=2e-4", "optimizer.lr=${rate}"),
        ("+rate=2e-4", "optimizer.lr=${oc.select:rate,1e-3}"),
        ("+tag=x", "hydra.run.dir=outputs/${tag}"),
        ("++calibration=null",),
        ("+mine=a", "hydra.searchpath=[own]"),
    ],
)
def test_a_key_that_others_refer_to_is_read(run, quick, tmp_path, words):
    (tmp_path / "own" / "mine").mkdir(parents=True)
    (tmp_path / "own" / "mine" / "a.yaml").write_text("x: 1\n")
    words = [word.replace("[own]", f"[file://{tmp_path / 'own'}]") for word in words]
    done = run("train", *quick, *words, "trainer.limit_train_batches=1")
    assert done.code == 0, done.text


def there(group):
    return ", ".join(sorted({path.stem for path in Path(CONF, group).glob("*.yaml")} - {"default", "checkpoint"}))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("scheduler=null", f"scheduler=null: `scheduler` is chosen from {there('scheduler')}. Give one, or remove"),
        ("optimizer=", f"optimizer=: `optimizer` is chosen from {there('optimizer')}."),
        ("data/augment=None", "data/augment=None: `data/augment` is chosen from all, "),
        ("data=null", f"data=null: `data` is chosen from {there('data')}. Give one"),
        ("data=default", f"data=default: `data` is chosen from {there('data')}. Give one"),
        ("optimizer=1e-3", f"optimizer=1e-3: `optimizer` is chosen from {there('optimizer')}."),
        ("model=50", "model=50: `model` is chosen from alexnet, "),
        ("data.augment=flip", "data.augment=flip: `data/augment` is a group. Choose with data/augment=flip."),
    ],
)
def test_a_group_without_a_choice_is_told_what_there_is(run, word, said):
    stopped = run("train", word)
    assert stopped.code == 1 and stopped.text.startswith(said) and stopped.text.count("\n") == 1


@pytest.mark.parametrize(("command", "key"), [("train", "calibration"), ("audit", "near")])
def test_a_value_in_place_of_keys_is_told(run, command, key):
    stopped = run(command, "data=synthetic", f"{key}=5")
    assert (
        stopped.code == 1
        and f"`{key}` is not a single value: set its keys with {key}.KEY=VALUE, got 5." in stopped.text
    )


def test_keys_may_be_null(run):
    """`model.image_size` is no group, nor is what is quoted or has no value at all."""
    from fakereal.config.argv import as_meant

    words = ["model.image_size=null", "experiment", "--help", "sweep=null", "'a/b'=null", "../conf=null"]
    assert sorted(as_meant(["train.py", *words])) == sorted(["train.py", *words])
