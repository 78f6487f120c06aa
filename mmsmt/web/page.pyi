"""Layout of the page, and what its parts do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from mmsmt.errors import BadSampleError, UserError
from mmsmt.web.maps import KINDS
from mmsmt.web.models import Answer, ServedModel
from mmsmt.web.uploads import Limits, open_upload

TITLE = 'mmsmt'
HINT = 'Drop an image or a video.'
CSS = '.fillable { max-width: 1400px !important; } #status { min-height: 1.5em; }'
PROGRESS = gr.Progress()
FRESH = (60, 900)  # seconds: how often uploads and results are looked at, and how old they get

class DroppedFile(gr.File):
    """A file component that takes what was uploaded to this server, and nothing else.

    Gradio's own takes addresses as well, and fetches them.
    """

    is_template = True

    async def async_move_resource_to_block_cache(self, url_or_file_path: Any) -> str | None:
        """The path of an upload; gr.Error for any other."""
        folder = Path(self.GRADIO_CACHE).resolve()
        if url_or_file_path and not Path(url_or_file_path).resolve().is_relative_to(folder):
            raise gr.Error('the page reads only files that were dropped on it')
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: Any) -> str | None:
        """The path of an upload."""
        return payload.path if isinstance(payload, FileData) else None
    from collections.abc import Callable, Sequence
    from typing import TYPE_CHECKING, Any, Literal

    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component

class Page:
    """What happens on the page, for all visitors.

    Args:
        models: By their names.
        limits: Of uploads.
        folder: For drawn videos.
    """

    def __init__(self, models: Mapping[str, ServedModel], limits: Limits, folder: Path) -> None:
        self.models, self.limits, self.folder = models, limits, folder

    def choose(self, name: str) -> list[Any]:
        """Slider and tabs of a model."""
        model = self.models[name]
        task = model.task
        slider = gr.Slider(value=task.threshold, info=task.about)
        return [slider, *(gr.Tab(visible=kind in model.maps.kinds) for kind in KINDS)]

    def predict(self, name: str, file: str | None, progress: gr.Progress = PROGRESS) -> list[Any]:
        """Run a model on a file: the answer, what to say, and the tab to show."""
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
        """Picture, video and table of an answer."""
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
        """The maps of an answer's image, or of its first frame."""
        if answer is None:
            return None
        model = self.models[answer.model]
        if kind not in model.maps.kinds:
            raise BadSampleError(f'{answer.model} has no map of this kind')
        with model.running:
            return model.maps.draw(kind, answer.frames[0].pixels())

    def build(self) -> gr.Blocks:
        """Lay the page out."""
        first = next(iter(self.models))
        task = self.models[first].task
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=FRESH) as blocks:
            answer = gr.State(None)
            with gr.Row():
                with gr.Column(scale=1, min_width=320):
                    name = gr.Dropdown(list(self.models), value=first, label='Model')
                    file = DroppedFile(label='Image or video', file_count='single', height=150)
                    slider = gr.Slider(
                        0, 1, task.threshold, step=0.01, label='Threshold', info=task.about
                    )
                    status = gr.Markdown(HINT, elem_id='status')
                    table = gr.Dataframe(
                        headers=list(task.columns), interactive=False, label='Results'
                    )
                with gr.Column(scale=2, min_width=480):
                    with gr.Tabs(selected='prediction') as tabs:
                        with gr.Tab('Prediction', id='prediction'):
                            picture = gr.Image(
                                label='Prediction', buttons=['download', 'fullscreen'], height=640
                            )
                            video = gr.Video(label='Prediction', visible=False, height=640)
                        map_tabs = []
                        for kind in KINDS:
                            visible = kind in self.models[first].maps.kinds
                            with gr.Tab(kind, visible=visible) as tab:
                                shown = gr.Image(
                                    label=kind, buttons=['download', 'fullscreen'], height=640
                                )
                            map_tabs.append((tab, shown, kind))
            self.connect(answer, name, file, slider, status, table, tabs, picture, video, map_tabs)
        blocks.queue(max_size=self.limits.waiting, default_concurrency_limit=1)
        return blocks

    def connect(
        self,
        answer: gr.State,
        name: gr.Dropdown,
        file: gr.File,
        slider: gr.Slider,
        status: gr.Markdown,
        table: gr.Dataframe,
        tabs: gr.Tabs,
        picture: gr.Image,
        video: gr.Video,
        map_tabs: list[tuple[gr.Tab, gr.Image, str]],
    ) -> None:
        """Say which event runs what.

        Models run one visitor after another, in the group `model`; drawing has a group of its own,
        so that sliders move while another visitor's video is predicted.
        """
        runs: dict[str, Any] = dict(concurrency_id='model', api_visibility='private')
        draws: dict[str, Any] = dict(concurrency_id='draw', api_visibility='private')
        drawing = (self.draw, [answer, slider], [picture, video, table])
        predicting = (self.predict, [name, file], [answer, status, tabs])
        file.change(*predicting, **runs).then(*drawing, **draws)
        chosen = name.change(self.choose, name, [slider, *(tab for tab, _, _ in map_tabs)], **draws)
        chosen.then(*predicting, **runs).then(*drawing, **draws)
        slider.input(*drawing, trigger_mode='always_last', show_progress='hidden', **draws)
        for tab, shown, kind in map_tabs:
            tab.select(lambda found, kind=kind: self.show_maps(kind, found), answer, shown, **runs)

def _plain(text: str) -> str:
    """A text in which Markdown finds nothing to obey."""
    return ''.join(f'\\{c}' if c in r'\`*_{}[]()<>#+-.!|~$' else c for c in text)
