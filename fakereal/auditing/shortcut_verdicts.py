"""What an audit says of shortcuts: what predicts the label and is no content."""

import numpy as np

from fakereal.auditing.findings import AuditFindings
from fakereal.auditing.shortcuts import Shortcut
from fakereal.presentation.content import Verdict, four, with_interval

UNSURE = 0.2  # width of an interval that says little
REENCODE = (
    "Encode all images alike (format, size, quality, no metadata) before training, or the network may read the encoder."
)
NATIVE = " Resizing leaves traces of a file's size; data.aspect=native cuts the middle and resizes nothing."
JITTER = "data/augment=color_jitter makes colour a weaker clue; test on images from another source."
BEAT = "A network has to beat this; see whether it survives JPEG and resizing."


def shortcut_verdicts(found: AuditFindings) -> list[Verdict]:
    """A line for each set of features that is not the same for all images, and one for those that are."""
    if found.unmeasured:
        return [Verdict("note", "Shortcuts", f"They cannot be measured: {found.unmeasured}.")]
    lines = []
    constant = [shortcut.title for shortcut in found.shortcuts if shortcut.constant]
    if constant:
        lines.append(Verdict("ok", "Shortcuts", f"The same for all images: {', '.join(constant)}."))
    if not any(shortcut.of_file for shortcut in found.shortcuts):
        lines.append(Verdict("note", "Shortcuts", "The images are generated: there are no files to look at."))
    varied = [shortcut for shortcut in found.shortcuts if not shortcut.constant]
    single = [shortcut for shortcut in varied if shortcut.of_file and shortcut.name != "file"]
    if len(single) == 1 or any(shortcut.low > found.cfg.shortcut for shortcut in single):
        varied = [shortcut for shortcut in varied if shortcut.name != "file"]  # together they say nothing new
    return lines + [_shortcut(found, shortcut) for shortcut in varied]


def _shortcut(found: AuditFindings, shortcut: Shortcut) -> Verdict:
    title, figure = f"Shortcut: {shortcut.title}", (shortcut.auroc, shortcut.low, shortcut.high)
    text = f"Predicts the label with AUROC {with_interval(figure, four)} on {found.measured_on}"
    clear, threshold = shortcut.low > found.cfg.shortcut, found.cfg.shortcut
    if shortcut.name == "mean_colour":
        text = f"{_colours(found)} This p{text[1:]}"
    if shortcut.of_file:
        if clear:
            remedy = REENCODE + (NATIVE if shortcut.name == "dimensions" else "")
            return Verdict("warning", title, f"{text}, clearly above {threshold:g}.", remedy)
        if shortcut.high > threshold:
            unsure = "too few images to tell" if shortcut.high - shortcut.low > UNSURE else f"about {threshold:g}"
            return Verdict("note", title, f"{text}: {unsure}.")
        return Verdict("ok", title, f"{text}, below {threshold:g}.")
    if shortcut.low <= 0.5:
        return Verdict("ok", title, f"{text}: indistinguishable from chance.")
    if shortcut.name == "power_spectrum":
        return Verdict("note", title, f"{text}.", BEAT)
    return Verdict("warning" if clear else "note", title, f"{text}.", JITTER)


def _colours(found: AuditFindings) -> str:
    fake, real = (found.pixels.mean[found.label == label].mean(0) for label in (1, 0))
    colours = [" / ".join(f"{value:.3f}" for value in mean) for mean in (fake, real)]
    return f"Mean red / green / blue of FAKE is {colours[0]}, of REAL {colours[1]} ({_shift(found)})."


def _shift(found: AuditFindings) -> str:
    """Whether FAKE is darker or brighter, by Welch's interval of the difference of mean brightness."""
    grey = found.pixels.mean.mean(1)
    fake, real = grey[found.label == 1], grey[found.label == 0]
    difference = float(fake.mean() - real.mean())
    error = 1.96 * float(np.sqrt(fake.var(ddof=1) / len(fake) + real.var(ddof=1) / len(real)))
    if abs(difference) <= error:
        return "equally bright, within the noise"
    word = "darker" if difference < 0 else "brighter"
    size = abs(difference)
    return f"FAKE is {word} by {size:.3f}, 95% interval {size - error:.3f} to {size + error:.3f}"
