"""A hundred thousand altered files: none crashes a reader, hangs it, or blows its memory up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).with_name("fuzz.py")
MOST_GIB = 2.0  # of the largest image that is allowed, as floating point and as RGB


def fuzzed(what, count, first=0):
    words = [sys.executable, str(FUZZ), what, str(count), "--first", str(first)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), f"ended with status {done.returncode}:\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


@pytest.mark.parametrize(("what", "count"), [("images", 1500), ("archives", 500)])
def test_a_few_altered_files(what, count):
    result = fuzzed(what, count)
    assert not result["findings"]
    assert result["read"] + result["refused"] == count and min(result["read"], result["refused"]) > count / 30
    assert result["most_memory_gib"] < MOST_GIB


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("what", "count"), [("images", 80_000), ("archives", 40_000)])
def test_a_hundred_thousand_altered_files(what, count):
    result = fuzzed(what, count, first=1_000_000)
    print(json.dumps(result))
    assert not result["findings"] and result["read"] + result["refused"] == count
    assert result["most_memory_gib"] < MOST_GIB
