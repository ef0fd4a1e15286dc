"""The page: a Gradio form, and answers in the look of the reports."""

from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

from fakereal import CLASSES, REVIEW
from fakereal.explanation.overlay import colour_bar
from fakereal.prediction.about import POINTS, about, results_of, test_table
from fakereal.presentation.plots import BLUE, ORANGE
from fakereal.presentation.rendering import templates_of
from fakereal.runtime.errors import UserError, installing
from fakereal.serving.choices import short_names
from fakereal.serving.desk import Desk, Uploads
from fakereal.serving.judge import Judge
from fakereal.serving.limits import BUSY, Busy

TEMPLATES = Path(__file__).parent / "templates"
TITLE = "Real or AI-generated?"


def uploaded_files(uploads: Uploads, **settings: Any) -> gr.File:
    """Files as Gradio shows them, of which a handler gets what `uploads` holds, or None.

    Gradio itself would copy any file of this computer, or fetch any address, that a request names. (Not a class of our
    own: Gradio writes a .pyi file beside the source of each.)
    """
    files = gr.File(file_count="multiple", **settings)

    async def as_named(path: str) -> str:
        return path

    _there(files, "async_move_resource_to_block_cache")
    files.async_move_resource_to_block_cache = as_named
    files.preprocess = lambda payload: [uploads.take(file.path) for file in payload or ()]
    return files


def with_page(api: FastAPI, desk: Desk, uploads: Uploads, tests: str | list[str] | None) -> FastAPI:
    """The addresses for programs with the page at /."""
    limits, names = desk.limits, list(desk.judges)
    described = {name: described_by(name, judge, tests) for name, judge in desk.judges.items()}

    async def answers(files: list[tuple[str, bytes] | None], name: str) -> tuple[str, None]:
        given = [file for file in files if file]
        if len(given) < len(files) or not given:
            raise gr.Error("The upload is no longer available. Choose the images again.")
        if len(given) > limits.max_images:
            raise gr.Error(f"{len(given)} images at once, more than {limits.max_images}. Choose fewer.")
        judge = desk.judges[name]
        try:
            with desk.room.place():
                judged = await desk.ask(judge, given, pictures=True)
        except Busy:
            raise gr.Error(BUSY) from None
        return rendered("answers", judged=judged, judge=judge, name=name if len(names) > 1 else ""), None

    with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
        gr.HTML(rendered("head", title=TITLE, review=REVIEW))
        choice = gr.Dropdown(names, value=names[0], label="Checkpoint", visible=len(names) > 1, filterable=False)
        label = f"Images: drop, choose or paste up to {limits.max_images}, {limits.max_file_mb:g} MiB each"
        files = uploaded_files(uploads, label=label, height=180, elem_id="images")
        shown = gr.HTML(elem_id="answers")
        facts = gr.HTML(described[names[0]], elem_id="about")
        gr.HTML(rendered("programs"))
        private = {"api_visibility": "private"}  # programs have an address of their own, in one step
        files.upload(answers, [files, choice], [shown, files], concurrency_limit=limits.concurrency, **private)
        choice.change(described.get, choice, facts, **private)
    blocks.queue(max_size=limits.concurrency + limits.queue, api_open=False)
    _there(blocks, "has_launched")
    blocks.has_launched = True  # mounted, Gradio leaves out its check of the paths that a request names
    font = ["system-ui", "sans-serif"]
    return gr.mount_gradio_app(
        api, blocks, "/", footer_links=[], run_history=False, enable_monitoring=False, ssr_mode=False, pwa=False,
        mcp_server=False, max_file_size=limits.request_bytes, css=rendered("page.css"), js=rendered("paste.js"),
        theme=gr.themes.Default(primary_hue="blue", font=font, font_mono=["ui-monospace", "monospace"]),
    )  # fmt: skip


def _there(of: object, name: str) -> None:
    """What protects this computer replaces parts of Gradio: without effect, if a version of it calls them otherwise."""
    if not hasattr(of, name):
        raise UserError(
            f"Gradio {gr.__version__} has no {name}, on which the protection of your files depends: install the "
            f"version that constraints.txt names ({installing('app')})."
        )


def described_by(name: str, judge: Judge, tests: str | list[str] | None) -> str:
    """What answers, what it was trained on, its figures and its limits, as HTML."""
    predictor = judge.predictor
    members = predictor.members
    usual = [member.reference.usual_sizes() if member.reference else "" for member in members]
    figures = [test_table(test, members) for test in results_of(members, tests)]
    return rendered(
        "about", members=[about(member) for member in members], usual=usual, points=POINTS, tests=figures,
        threshold=predictor.threshold, resize=predictor.resize, bar=colour_bar(),
        names=short_names(members) if len(members) > 1 else [name],
    )  # fmt: skip


def rendered(file: str, **words: Any) -> str:
    """A file of templates/, HTML where it is given no ending."""
    templates = templates_of(TEMPLATES, autoescape="." not in file)
    words |= {"classes": CLASSES, "blue": BLUE, "orange": ORANGE}
    return templates.get_template(f"{file}.html.jinja" if "." not in file else file).render(words)
