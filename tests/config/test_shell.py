"""Commands for people to paste."""

import shlex

import pytest

from fakereal.config import shell


@pytest.mark.parametrize("word", ["a", "a b", "x=[1,2]", "it's", 'so "so"', "$HOME"])
def test_a_shell_takes_the_words_as_they_were(monkeypatch, word):
    monkeypatch.setattr(shell, "WINDOWS", False)
    assert shlex.split(shell.pasted("python", word)) == ["python", word]


def test_windows_knows_double_quotes_alone(monkeypatch):
    monkeypatch.setattr(shell, "WINDOWS", True)
    assert shell.pasted("python", r"ckpt_path=C:\Jane Doe\x") == r'python "ckpt_path=C:\Jane Doe\x"'
    assert shell.pasted(r"ckpt_path=C:\x") == r"ckpt_path=C:\x"
