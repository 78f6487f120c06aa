"""One thing to be measured: a contender in one way at one shape, as a call."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

from mmsmt.benchmark.build import build
from mmsmt.benchmark.contenders import CHANNELS_LAST, Contender
from mmsmt.deploy import deploy

FORWARD, TRAINING = 'forward', 'training'
STEPS = (FORWARD, TRAINING)
DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}


class Way(NamedTuple):
    """How a network runs.

    Args:
        compiled: By `torch.compile`, for its one shape.
        deployed: In the form that `mmsmt.deploy` folds, for inference alone.
    """

    compiled: bool
    deployed: bool


WAYS = {
    'eager': Way(False, False),
    'deploy': Way(False, True),
    'compiled': Way(True, False),
    'compiled-deploy': Way(True, True),
}


class Shape(NamedTuple):
    """Of the images: their number, and height and width in pixels."""

    batch: int
    height: int
    width: int

    def __str__(self) -> str:
        return 'x'.join(map(str, self))


class Settings(NamedTuple):
    """What holds for a whole run.

    Args:
        device: `cpu` or `cuda`.
        dtype: A name of `DTYPES`; bfloat16 is autocast, on float32 weights.
        threads: Of the CPU.
        compile_mode: Of `torch.compile`.
    """

    device: str = 'cpu'
    dtype: str = 'float32'
    threads: int = 1
    compile_mode: str = 'default'


class Job(NamedTuple):
    """What is measured.

    Args:
        contender: The network.
        way: A name of `WAYS`.
        layout: Memory format of weights and images.
        shape: Of the images.
        step: Of `STEPS`.
    """

    contender: Contender
    way: str
    layout: str
    shape: Shape
    step: str


def prepare_process(settings: Settings) -> None:
    """Fix the threads of this process, and silence what libraries remark."""
    torch.set_num_threads(settings.threads)
    warnings.filterwarnings('ignore')


def compile_network(model: nn.Module, mode: str) -> Any:
    """Compile for the shapes that it will see alone, and never fall back without a word."""
    # Contenders share the code of their `forward`: beyond its limit of variants of one code the
    # compiler would run the next ones uncompiled.
    torch._dynamo.config.recompile_limit = 256
    torch._dynamo.config.accumulated_recompile_limit = 4096
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    return torch.compile(model, mode=mode, dynamic=False)


def wait_for(settings: Settings) -> Callable[[], Any]:
    """What waits until the device has done all that was asked of it."""
    return torch.cuda.synchronize if settings.device == 'cuda' else lambda: None


def prepare(job: Job, settings: Settings) -> Callable[[], None]:
    """Build a job's network, images and, for training, its optimizer.

    Inference is `inference_mode` in evaluation mode. A training step is the forward pass in
    training mode, the backward pass from random gradients of the maps, as heads give them, and a
    step of AdamW. (The mean of a map that a layer norm made has no gradient to speak of.)

    Returns:
        What runs it once; it does not wait for a GPU.

    Raises:
        UsageError: If the network cannot be built.
    """
    model: Any = build(job.contender)
    way = WAYS[job.way]
    if way.deployed:
        model = deploy(model)
    images = torch.rand(job.shape.batch, 3, job.shape.height, job.shape.width)
    images, model = images.to(settings.device), model.to(settings.device)
    if job.layout == CHANNELS_LAST:  # else weights stay as the network keeps them
        images = images.contiguous(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    model.train(job.step == TRAINING)
    network = compile_network(model, settings.compile_mode) if way.compiled else model
    autocast = torch.autocast(
        settings.device, DTYPES[settings.dtype], enabled=settings.dtype != 'float32'
    )

    def forward() -> None:
        with torch.inference_mode(), autocast:
            network(images)

    return forward if job.step == FORWARD else _training_step(model, network, images, autocast)


def _training_step(
    model: nn.Module, network: Any, images: torch.Tensor, autocast: torch.autocast
) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)

    gradients: list[torch.Tensor] = []

    def step() -> None:
        with autocast:
            maps = network(images)
        if not gradients:
            gradients.extend(torch.randn_like(x) / x.numel() for x in maps)
        torch.autograd.backward(maps, gradients)
        optimizer.step()
        # At the end: networks that wait for their turn shall not hold gradients.
        optimizer.zero_grad(set_to_none=True)

    return step
