"""Names of files and images, for people."""


def printable(name: object) -> str:
    """A name for messages: what no terminal or log file could show is escaped."""
    text = str(name)
    if text.isprintable():  # nearly all are, and many are printed
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
