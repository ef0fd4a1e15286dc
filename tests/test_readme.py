"""The README's commands, and the wheel without its checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BASH = [line for block in README.split("```bash\n")[1:] for line in block.split("```")[0].splitlines() if line]


def shell(command: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        ["bash", "-ec", command], cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_ci_runs_exactly_the_second_command():
    script = (ROOT / ".ci" / "run").read_text()
    assert "grep -m 1 'pytest' README.md" in script
    [tests] = [line for line in BASH if "pytest" in line]
    assert README.splitlines()[[line == tests for line in README.splitlines()].index(True)] == tests
    assert next(line for line in README.splitlines() if "pytest" in line) == tests


@pytest.mark.slow
def test_the_first_command_installs_and_trains(tmp_path):
    shell(f"git clone -q {ROOT} checkout", tmp_path)
    text = shell(BASH[0], tmp_path / "checkout")
    assert "Best checkpoint on validation" in text
    [path] = [line.split()[1] for line in text.splitlines() if line.startswith("Checkpoint:")]
    assert (tmp_path / "checkout" / path).exists()


def wheel_of(folder: Path, out: Path) -> Path:
    shell(f"{sys.executable} -m hatchling build -t wheel -d {out}", folder)
    [wheel] = out.glob("*.whl")
    return wheel


def test_the_container_is_given_all_that_a_wheel_is_built_of(tmp_path):
    pytest.importorskip("hatchling")
    copied = [line.split()[1:] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    (tmp_path / "src").mkdir()
    for *sources, target in copied:
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / "src" / target)
            else:
                shutil.copy(ROOT / source, tmp_path / "src" / target)
    wheels = wheel_of(ROOT, tmp_path / "whole"), wheel_of(tmp_path / "src", tmp_path / "container")
    names = [{name for name in zipfile.ZipFile(wheel).namelist() if "__pycache__" not in name} for wheel in wheels]
    assert names[0] == names[1]


def test_the_wheel_carries_the_configuration_and_runs_without_the_checkout(tmp_path):
    pytest.importorskip("hatchling")
    wheel = wheel_of(ROOT, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert {"fakereal/conf/train.yaml", "fakereal/conf/model/resnet50.yaml", "fakereal/data/store/build.py"} <= {*names}
    assert {"fakereal/presentation/templates/page.html.jinja", "hydra_plugins/fakereal_sweeper.py"} <= {*names}
    assert not [name for name in names if name.startswith(("tests/", "outputs/"))]
    words = "data=synthetic data.count=200 model=timm model.backbone=test_resnet trainer.max_epochs=1"
    command = f"{sys.executable} -m fakereal.train {words} hydra.run.dir=out threads=1"
    # -P keeps the checkout's own folder off the path; the wheel's comes first
    text = shell(command, tmp_path, PYTHONPATH=str(tmp_path / "site"), PYTHONSAFEPATH="1")
    assert "Best checkpoint on validation" in text
    code = "from fakereal.runtime.errors import installing; print(installing('app'))"
    said = shell(f'{sys.executable} -c "{code}"', tmp_path, PYTHONPATH=str(tmp_path / "site"), PYTHONSAFEPATH="1")
    assert 'pip install "fakereal[app]"' in said, "there is no checkout to install from"
    config = (tmp_path / "out" / ".hydra" / "hydra.yaml").read_text()
    assert str(tmp_path / "site" / "fakereal" / "conf") in config


def test_each_module_that_the_readme_names_is_there():
    named = set(re.findall(r"`((?:fakereal|tests|conf)/[\w/.]+?\.(?:py|yaml))`", (ROOT / "README.md").read_text()))
    assert len(named) > 10
    assert not [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).is_file()]
