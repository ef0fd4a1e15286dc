"""What a terminal shows of the answers."""

import contextlib
import json
import os
import sys

import pytest

from fakereal.prediction.answers import Answer
from fakereal.prediction.shown import Shown

pty = pytest.importorskip("pty")


@pytest.fixture
def on_terminal(monkeypatch):
    """`on_terminal(total, as_json, count)`: what it shows of `count` answers, the last of them in error."""
    monkeypatch.setenv("TERM", "xterm")

    def show(total, as_json, count):
        primary, secondary = pty.openpty()
        answers = [Answer(f"{number}.png", 0.25, "REAL") for number in range(count - 1)]
        with open(secondary, "w") as terminal, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", terminal)
            patch.setattr(sys, "stderr", terminal)
            with Shown(total, as_json) as shown:
                shown.show([*answers, Answer("bad.png", error="empty file")])
        text = b""
        with contextlib.suppress(OSError):  # the end, once the other side is closed
            while part := os.read(primary, 2**16):  # a terminal deals what it has by and by
                text += part
        os.close(primary)
        return text.decode()

    return show


@pytest.mark.parametrize("total", [3, None])
def test_of_few_images_the_lines(on_terminal, total):
    lines = on_terminal(total, False, 3).splitlines()
    assert lines == ["0.png    REAL 0.2500", "1.png    REAL 0.2500", "bad.png  ERROR empty file"]


@pytest.mark.parametrize("total", [60, None])
def test_of_many_images_a_bar_and_the_bad_ones(on_terminal, total, caplog):
    text = on_terminal(total, False, 60)
    assert "Predicting" in text and f"60/{total or '?'}" in text and "images/s" in text
    assert "REAL" not in text and "bad.png: empty file" in caplog.messages


def test_for_programs_lines_alone(on_terminal):
    lines = [json.loads(line) for line in on_terminal(60, True, 60).splitlines()]
    unknown = {"far_from_training": None}
    assert len(lines) == 60 and lines[0] == {"path": "0.png", "prediction": "REAL", "prob_fake": 0.25, **unknown}
    assert lines[-1] == {"path": "bad.png", "error": "empty file"}
