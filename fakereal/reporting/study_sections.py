"""The section of a search: Optuna's plots of the studies that the runs belong to."""

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fakereal.presentation.content import Block, Chart, Text
from fakereal.presentation.ink import INK, cut, inked
from fakereal.reporting.gather import ReportFindings
from fakereal.runs.folders import JOURNAL
from fakereal.runtime.errors import installing

if TYPE_CHECKING:
    from optuna import Study


def study_blocks(found: ReportFindings) -> list[Block]:
    """Nothing where no run is the trial of a study."""
    folders = dict.fromkeys(run.folder.parent for run in found.runs if (run.folder.parent / JOURNAL).exists())
    blocks: list[Block] = []
    for number, folder in enumerate(folders):
        try:
            blocks += _blocks(_read(folder), folder, found.monitor, f"study_{number}")
        except ModuleNotFoundError as error:
            blocks.append(Text(f"{folder.name}: {error}; {installing('sweep')} brings Optuna."))
        except Exception as error:  # a journal cut short, of another version, or of something else
            blocks.append(Text(f"{folder / JOURNAL} cannot be read: {error}"))
    return blocks


def _read(folder: Path) -> "Study":
    import optuna

    from fakereal.tuning.study import open_storage

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.load_study(study_name=None, storage=open_storage(None, folder))  # the only one


def _blocks(study: "Study", folder: Path, monitor: str, slug: str) -> list[Block]:
    trials = study.get_trials(deepcopy=False)
    counts = Counter(trial.state.name for trial in trials)
    states = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed or interrupted", "RUNNING": "under way"}
    states |= {"WAITING": "to go on"} if counts["WAITING"] else {}
    said = ", ".join(f"{counts[state]} {word}" for state, word in states.items())
    blocks: list[Block] = [Text(f"Study {study.study_name} ({folder}), {len(trials)} trials: {said}.")]
    if counts["COMPLETE"] < 2:
        return blocks
    metric = study.user_attrs.get("settings", {}).get("monitor", monitor)
    for name, title, draw in _plots(study):
        try:
            chart = _drawn(draw, metric)
        except (ValueError, RuntimeError) as error:  # such as importances of a setting that never varied
            blocks.append(Text(f"{title}: {error}"))
        else:
            blocks.append(Chart(f"{slug}_{name}", title, f"{metric} of the trials of {study.study_name}", chart))
    return blocks


def _plots(study: "Study") -> list[tuple[str, str, Callable[[], Axes]]]:
    from optuna.importance import get_param_importances
    from optuna.visualization import matplotlib as plots

    searched = list(get_param_importances(study)) if len({str(trial.params) for trial in study.trials}) > 1 else []
    made: list[tuple[str, str, Callable[[], Axes]]] = [
        ("history", "How the search went", lambda: plots.plot_optimization_history(study))
    ]
    if len(searched) > 1:
        made += [
            (
                "importance",
                "What matters among the best (PED-ANOVA)",
                lambda: plots.plot_param_importances(study),
            ),
            ("parallel", "Settings of each trial", lambda: plots.plot_parallel_coordinate(study, params=searched[:6])),
            ("contour", "The two settings that matter most", lambda: plots.plot_contour(study, params=searched[:2])),
        ]
    return made


def _drawn(draw: Callable[[], Axes], metric: str) -> Figure:
    """Optuna's plot in the page's look; pyplot, which it draws with, is told to forget it."""
    from matplotlib import pyplot, rc_context

    with warnings.catch_warnings(), rc_context({"figure.constrained_layout.use": True, "figure.figsize": (5.4, 3.9)}):
        warnings.simplefilter("ignore")  # that these plots are experimental
        axes = draw()  # under a style of Optuna's own, which is undone here
    figure = axes.figure
    pyplot.close(figure)
    for part in figure.axes:
        for place in ("left", "center", "right"):
            part.set_title("", loc=place)
        for drawn in part.collections:
            if drawn.get_array() is not None:
                drawn.set_cmap("viridis")  # its lightest colour is seen on white, and its darkest on black
        inked(figure, part)
        part.grid(False)
        for read, write in ((part.get_xlabel, part.set_xlabel), (part.get_ylabel, part.set_ylabel)):
            write(read().replace("Objective Value", metric))
        if "Objective Value" in (names := [label.get_text() for label in part.get_xticklabels()]):
            part.set_xticks(part.get_xticks(), [metric if name == "Objective Value" else name for name in names])
        for label in (*part.get_xticklabels(), *part.get_yticklabels(), *part.texts):
            label.set_color(INK)
    if legend := axes.get_legend():
        names = [cut(text.get_text().replace("Objective Value", metric)) for text in legend.get_texts()]
        axes.legend(legend.legend_handles, names, loc="best", labelcolor=INK, framealpha=0, fontsize=9)
    return figure
