"""Layout and behaviour of the page."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from mmsmt.errors import UserError
from mmsmt.web.maps import KINDS
from mmsmt.web.models import Answer, ServedModel
from mmsmt.web.uploads import Limits, open_upload

HINT = 'Drop an image or a video.'
CSS = '.fillable { max-width: 1400px !important; }'
HEIGHT = 640  # pixels of pictures
BUTTONS: Any = ['download', 'fullscreen']
PROGRESS = gr.Progress()
FRESH = (60, 900)  # seconds: interval of the clean-up of uploads and results, and their maximum age


class Page:
    """Behaviour of the page, shared by all visitors.

    Args:
        models: Models by name.
        limits: Limits of uploads.
        folder: Folder for drawn videos.
    """

    def __init__(self, models: Mapping[str, ServedModel], limits: Limits, folder: Path) -> None:
        self.models, self.limits, self.folder = models, limits, folder

    def choose(self, name: str) -> list[Any]:
        """Return slider and tabs for a model."""
        model = self.models[name]
        task = model.task
        slider = gr.Slider(value=task.threshold, info=task.about)
        return [slider, *(gr.Tab(visible=kind in model.maps.kinds) for kind in KINDS)]

    def predict(self, name: str, file: str | None, progress: gr.Progress = PROGRESS) -> list[Any]:
        """Run a model on a file; return the answer, a message, and the tab to show."""
        tab = gr.Tabs(selected='prediction')
        if file is None:
            return [None, HINT, tab]
        try:
            upload = open_upload(Path(file), self.limits)
            model = self.models[name]
            answer = model.answer(upload, lambda done, of: progress((done, of), unit='frames'))
        except UserError as error:
            return [None, _plain(str(error).replace(file, Path(file).name)), tab]
        return [answer, _plain(str(answer)), tab]

    def draw(self, answer: Answer | None, threshold: float) -> list[Any]:
        """Return picture, video and table of an answer."""
        if answer is None:
            return [gr.Image(None, visible=True), gr.Video(None, visible=False), None]
        threshold = min(max(float(threshold), 0.0), 1.0)
        drawn = self.models[answer.model].draw(answer, threshold, self.folder)
        video = str(drawn.video) if drawn.video else None
        return [
            gr.Image(drawn.picture, visible=video is None),
            gr.Video(video, visible=video is not None),
            gr.Dataframe(dict(headers=drawn.columns, data=drawn.rows)),
        ]

    def show_maps(self, kind: str, answer: Answer | None) -> Any:
        """Return the maps of an answer's image, or of its first frame."""
        if answer is None:
            return None
        model = self.models[answer.model]
        if kind not in model.maps.kinds:
            raise gr.Error(f'{answer.model} has no such maps')
        with model.running:
            return model.maps.draw(kind, answer.frames[0].pixels())

    def build(self) -> gr.Blocks:
        """Create the layout and connect events to functions.

        Models run for one visitor after another, in the group `model`. Drawing has its own group,
        so that sliders react while another visitor's video is predicted.
        """
        with gr.Blocks(title='mmsmt', analytics_enabled=False, delete_cache=FRESH) as blocks:
            answer = gr.State(None, time_to_live=FRESH[1])
            with gr.Row():
                with gr.Column(scale=1, min_width=320):
                    name, file, slider, status, table = self._inputs()
                with gr.Column(scale=2, min_width=480):
                    tabs, picture, video, views = self._results()
            runs: dict[str, Any] = dict(concurrency_id='model', api_visibility='private')
            draws: dict[str, Any] = dict(concurrency_id='draw', api_visibility='private')
            predicting = (self.predict, [name, file], [answer, status, tabs])
            drawing = (self.draw, [answer, slider], [picture, video, table])
            file.change(*predicting, **runs).then(*drawing, **draws)
            chosen = name.change(self.choose, name, [slider, *(tab for tab, _ in views)], **draws)
            chosen.then(*predicting, **runs).then(*drawing, **draws)
            slider.input(*drawing, trigger_mode='always_last', show_progress='hidden', **draws)
            for kind, (tab, shown) in zip(KINDS, views, strict=True):
                tab.select(partial(self.show_maps, kind), answer, shown, **runs)
        blocks.queue(max_size=self.limits.waiting, default_concurrency_limit=1)
        return blocks

    def _inputs(self) -> tuple[gr.Dropdown, gr.File, gr.Slider, gr.Markdown, gr.Dataframe]:
        first, model = next(iter(self.models.items()))
        name = gr.Dropdown(list(self.models), value=first, label='Model')
        file = gr.File(label='Image or video', height=140)
        task = model.task
        slider = gr.Slider(0, 1, task.threshold, step=0.01, label='Threshold', info=task.about)
        status = gr.Markdown(HINT, elem_id='status')
        table = gr.Dataframe(
            headers=list(task.columns), interactive=False, label='Results', elem_id='results'
        )
        return name, file, slider, status, table

    def _results(self) -> tuple[gr.Tabs, gr.Image, gr.Video, list[tuple[gr.Tab, gr.Image]]]:
        kinds = next(iter(self.models.values())).maps.kinds
        views = []
        with gr.Tabs(selected='prediction') as tabs:
            with gr.Tab('Prediction', id='prediction'):
                picture = gr.Image(
                    show_label=False, buttons=BUTTONS, height=HEIGHT, elem_id='picture'
                )
                video = gr.Video(show_label=False, visible=False, height=HEIGHT, elem_id='video')
            for kind, about in KINDS.items():
                with gr.Tab(kind, visible=kind in kinds) as tab:
                    gr.Markdown(about)
                    name = kind.lower().replace(' ', '_')
                    shown = gr.Image(show_label=False, buttons=BUTTONS, height=HEIGHT, elem_id=name)
                views.append((tab, shown))
        return tabs, picture, video, views


def _plain(text: str) -> str:
    """Escape text so that Markdown shows it unchanged."""
    return ''.join(f'\\{c}' if c in r'\`*_{}[]()<>#+-.!|~$' else c for c in text)
