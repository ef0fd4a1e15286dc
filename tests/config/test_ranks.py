"""Ranks that torchrun or Slurm started."""

import pytest

from fakereal.config.ranks import from_outside, rank, started
from fakereal.runtime.errors import UserError


@pytest.fixture
def environment(monkeypatch):
    """`environment(NAME=value, ...)`: of a process that a launcher started."""
    for name in ("TORCHELASTIC_RUN_ID", "RANK", "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    return lambda **names: [monkeypatch.setenv(name, value) for name, value in names.items()]


def test_a_process_alone_has_its_time(environment):
    environment(SLURM_JOB_ID="12", SLURM_NTASKS="4")  # in a batch script, before srun
    assert not from_outside() and rank() == 0 and int(started("%Y")) >= 2026
    assert started("%Y", "mine") == "mine"


def test_ranks_share_the_name_of_their_launch(environment):
    environment(SLURM_JOB_ID="12", SLURM_STEP_ID="3", SLURM_STEP_NUM_TASKS="4", SLURM_PROCID="2")
    assert from_outside() and rank() == 2 and started("%Y") == "slurm-12-3"
    environment(TORCHELASTIC_RUN_ID="abc", RANK="1")
    assert rank() == 1 and started("%Y") == "torchrun-abc" and started("%Y", "mine") == "mine"


def test_torchrun_without_a_name_is_told_what_to_give(environment):
    environment(TORCHELASTIC_RUN_ID="none", RANK="0")
    with pytest.raises(UserError, match="torchrun --standalone"):
        started("%Y")
    assert started("%Y", "mine") == "mine"
