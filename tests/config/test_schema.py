"""Every shipped YAML fits its target's signature, and wrong values are told all at once."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import get_object
from omegaconf import OmegaConf

import fakereal.config
from fakereal.config.schema import SPECIAL, annotations_of, check
from fakereal.runtime.errors import UserError

CONF = Path(fakereal.config.CONF)
FILES = sorted(path.relative_to(CONF).as_posix() for path in CONF.rglob("*.yaml"))
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
SWEEPS = [name for name in EXPERIMENTS if "params:" in (CONF / "experiment" / f"{name}.yaml").read_text()]
QUIET = ("callbacks=[]", "logger=none")
MORE = {"resnet18_folder": ["data.root=x"]}


def nodes(node):
    if OmegaConf.is_dict(node):
        if "_target_" in node:
            yield node
        for key in node:
            if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
                yield from nodes(node[key])


@pytest.mark.parametrize("file", FILES)
def test_every_key_of_every_file_is_a_parameter_of_its_target(file):
    found = list(nodes(OmegaConf.load(CONF / file)))
    for node in found:
        if str(node._target_).startswith("hydra."):
            continue
        unknown = {*node} - SPECIAL - {"defaults"} - {*annotations_of(get_object(node._target_))}
        assert not unknown, f"{file}: {unknown}"


@pytest.mark.parametrize("group", ["data", "data/augment", "model", "optimizer", "scheduler", "trainer"])
def test_every_choice_composes_and_is_valid(group, composed):
    choices = [path.stem for path in (CONF / group).glob("*.yaml")]
    assert choices
    for choice in choices:
        if (group, choice) in (("data", "default"), ("data", "checkpoint")):
            continue
        more = {"folder": ["data.root=x"], "timm": ["model.backbone=resnet18"]}.get(choice, [])
        if group == "optimizer" or choice == "onecycle":
            more = [*more, "callbacks=[]", "logger=none"]
        cfg = composed(f"{group}={choice}", *more, "callbacks=[]", "logger=none")
        check(cfg)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes(name, composed):
    cfg = composed(f"experiment={name}", *QUIET, *MORE.get(name, ()))
    check(cfg)
    text = (CONF / "experiment" / f"{name}.yaml").read_text()
    for line in (
        "# @package _global_\n# Question:",
        "\n# Command:  python -m fakereal.train ",
        "\n# Time: ",
        "\n# Result: ",
    ):
        assert line in text
    assert name == "seeds" or cfg.model.image_size


@pytest.mark.parametrize("name", SWEEPS)
def test_every_job_of_an_experiment_that_sweeps_is_valid(name, composed):
    params = composed(f"experiment={name}", hydra=True).hydra.sweeper.params
    parser = OverridesParser.create()
    for key, values in params.items():
        sweep = parser.parse_override(f"{key}={values}")
        assert sweep.is_sweep_override()
        for word in sweep.sweep_string_iterator():
            check(composed(f"experiment={name}", f"{key}={word}", *QUIET, *MORE.get(name, ())))


def test_an_experiment_over_seeds(composed):
    cfg = composed("experiment=[lenet,seeds]", "seeds=4", hydra=True)
    assert cfg.model.backbone == "lenet5" and cfg.hydra.sweeper.params.seed == "range(4)"
    assert cfg.hydra.mode.name == "MULTIRUN"


def test_a_number_without_end_is_none(composed):
    with pytest.raises(UserError, match=r"`optimizer.lr` must be a finite number, got inf"):
        check(composed("optimizer.lr=inf"))


def test_all_wrong_values_are_told_at_once_with_key_and_value(composed):
    cfg = composed(
        "trainer.max_epochs=five",
        "optimizer.lr=-1",
        "data.val_fraction=1.5",
        "model.drop_rate=1",
        "data.aspect=round",
        "seed=-3",
        "optimizer.betas=[0.9]",
        "data.batch_size=12.5",
        "model.freeze=all",
        "callbacks=[]",
        "logger=none",
    )
    with pytest.raises(UserError) as caught:
        check(cfg)
    lines = str(caught.value).splitlines()
    for key, value, remedy in (
        ("trainer.max_epochs", "'five'", "integer"),
        ("optimizer.lr", "-1", "greater than 0"),
        ("data.val_fraction", "1.5", "less than 1"),
        ("model.drop_rate", "1", "less than 1"),
        ("data.aspect", "'round'", "'squash', 'crop', 'pad' or 'native'"),
        ("seed", "-3", "greater than or equal to 0"),
        ("optimizer.betas", "[0.9]", "a list of 2"),
        ("data.batch_size", "12.5", "integer"),
        ("model.freeze", "'all'", "'none' or 'backbone'"),
    ):
        [line] = [line for line in lines if f"`{key}`" in line]
        assert value in line and remedy in line, line
    assert len(lines) == 9


def test_an_added_key_that_the_target_lacks_is_told(composed):
    cfg = composed("+model.depth=3", "callbacks=[]", "logger=none")
    with pytest.raises(UserError, match=r"`model.depth` is not a parameter of Classifier, which has: backbone"):
        check(cfg)


def test_a_missing_value_is_told(composed):
    cfg = composed("model=timm", "data=folder", "callbacks=[]", "logger=none")
    with pytest.raises(UserError) as caught:
        check(cfg)
    assert "`model.backbone` is not given: add model.backbone=VALUE." in str(caught.value)
    assert "`data.root` is not given" in str(caught.value)


def test_integers_are_floats_and_lists_are_tuples_and_null_is_none(composed):
    cfg = composed("optimizer.lr=1", "optimizer.betas=[0.8,0.9]", "model.pos_weight=balanced", "model.image_size=null")
    cfg.callbacks = cfg.logger = None
    check(cfg)


PUBLISHED = "published={accuracy:0.9766,split:test,source:'somebody, 2024'}"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (PUBLISHED, None),
        ("published=null", None),
        (PUBLISHED.replace("0.9766", "97.66"), "`published` must be less than 1 at accuracy, got"),
        (PUBLISHED.replace("split:test", "split:train"), "'val' or 'test' at split, got"),
        ("published={accuracy:0.9,split:val}", "`published` must be given with source, got"),
        (PUBLISHED.replace("{", "{epochs:25,"), "at epochs, got"),
        ("published=0.9", "`published` must be"),
    ],
)
def test_a_published_figure_is_whole_or_nothing(word, said, composed):
    cfg = composed(word, "callbacks=[]", "logger=none")
    if said is None:
        return check(cfg)
    with pytest.raises(UserError) as caught:
        check(cfg)
    assert said in str(caught.value)


def test_the_report_takes_one_directory_or_several():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        check(compose("report", ["runs=[a,b]", "tests=null"]))
        check(compose("report", ["runs=outputs/sweep", "title=LeNet"]))
        with pytest.raises(UserError, match="`runs` must be"):
            check(compose("report", ["runs=3"]))


def test_a_name_where_names_are_wanted_is_told_how_to_be_written(composed):
    with pytest.raises(UserError, match=r"`data.real` must be a list, such as \[NAME\], got 'photos'"):
        check(composed("data=folder", "data.root=x", "data.real=photos"))
