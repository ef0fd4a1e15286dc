"""Two hundred jobs in one process: memory, threads and open files stay what they were."""

import subprocess
import sys
import time

import psutil
import pytest

JOBS = 200
WARM = 60  # jobs after which caches are full
GROWTH_MIB = 60


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_hundred_jobs_leave_nothing_behind(quick, folder, rows, tmp_path):
    words = ["--multirun", *quick[:-1], "sweep=mine", "threads=1", f"seed=range({JOBS})", "data.count=64"]
    with (tmp_path / "log").open("w") as log:
        command = [sys.executable, "-m", "fakereal.train", *words]
        sweep = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    process, seen = psutil.Process(sweep.pid), []
    while sweep.poll() is None:
        time.sleep(0.2)
        try:
            with process.oneshot():
                now = process.memory_info().rss / 2**20, process.num_threads(), process.num_fds()
        except psutil.Error:
            break
        seen.append((len(list(folder.glob("*/metrics.json"))), *now))
    assert sweep.wait(60) == 0, (tmp_path / "log").read_text()[-3000:]
    assert len(rows()) == JOBS
    early = [figures for done, *figures in seen if WARM <= done < WARM + 20]
    late = [figures for done, *figures in seen if JOBS - 20 <= done < JOBS]  # not the end of the process
    said = {
        name: (max(row[place] for row in early), max(row[place] for row in late))
        for place, name in enumerate(("MiB", "threads", "files"))
    }
    print(said)
    assert said["MiB"][1] < said["MiB"][0] + GROWTH_MIB, said
    assert said["threads"][1] <= said["threads"][0] + 2 and said["files"][1] <= said["files"][0] + 4, said
