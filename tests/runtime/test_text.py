"""Names for people."""

import os

from fakereal.runtime.text import printable


def test_what_no_terminal_could_show_is_escaped():
    assert printable(os.fsdecode(b"r\xe9al\xff/\xfe.jpg")) == r"r\udce9al\udcff/\udcfe.jpg"
    assert printable("a\nb\x1b[2J é 猫") == r"a\nb\x1b[2J é 猫"
