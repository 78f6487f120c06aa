"""A job of the benchmark: a network in one way at one shape, as a callable."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmsmt.benchmark.contenders import CHANNELS_LAST, NCHW, Contender, build
from mmsmt.benchmark.runtimes import RUNTIMES, runtime_call
from mmsmt.deploy import deploy

FORWARD, TRAINING = 'forward', 'training'
STEPS = (FORWARD, TRAINING)
GRAPH, GRAPH_DEPLOY = 'cudagraph', 'cudagraph-deploy'
RECOMPUTE = 'recompute'
WAYS = (
    *('eager', 'deploy', RECOMPUTE, GRAPH, GRAPH_DEPLOY),
    *('compiled', 'compiled-deploy', 'compiled-recompute'),
    *RUNTIMES,
)
# Precision of matrix products and convolutions; weights are float32. TF32 rounds only the products.
DTYPES = {
    'float32': torch.float32,
    'tf32': torch.float32,
    'float16': torch.float16,
    'bfloat16': torch.bfloat16,
}


class Shape(NamedTuple):
    """Shape of the images, in pixels."""

    batch: int
    height: int
    width: int


class Settings(NamedTuple):
    """Settings of a whole run."""

    device: str = 'cpu'  # or `cuda`
    dtype: str = (
        'float32'  # one of `DTYPES`; float16 and bfloat16 use autocast, with float32 weights
    )
    threads: int = 1  # CPU threads
    compile_mode: str = 'default'
    rounds: int = 10  # timed rounds
    warmup: int = 2  # untimed rounds, in addition to one call of each job
    memory: bool = True  # whether to measure peak memory

    def apply(self) -> None:
        """Set threads and TF32 for this process."""
        torch.set_num_threads(self.threads)
        torch.backends.cuda.matmul.allow_tf32 = self.dtype == 'tf32'
        torch.backends.cudnn.allow_tf32 = self.dtype == 'tf32'

    def autocast(self) -> torch.autocast:
        """Return the autocast context of a forward pass."""
        dtype = DTYPES[self.dtype]
        return torch.autocast(self.device, dtype, enabled=dtype != torch.float32)


class Job(NamedTuple):
    """A network in one way and memory format, at one shape, in inference or training."""

    contender: Contender
    way: str  # one of `WAYS`
    layout: str  # memory format of weights and images
    shape: Shape
    step: str  # one of `STEPS`

    @property
    def compiled(self) -> bool:
        return self.way.startswith('compiled')

    @property
    def deployed(self) -> bool:
        return self.way.endswith('deploy')

    @property
    def recomputed(self) -> bool:
        return self.way.endswith(RECOMPUTE)

    @property
    def possible(self) -> bool:
        """Return whether the network supports this way, and the way this step.

        Only our networks have deploy forms and recomputation. Training is eager or compiled.
        """
        if self.recomputed:
            return self.step == TRAINING and self.contender.library == 'mmsmt'
        if self.way in RUNTIMES:
            return self.step == FORWARD and self.layout == NCHW
        if self.deployed and not self.contender.deployable:
            return False
        return self.step == FORWARD or self.way in ('eager', 'compiled')


def prepare(job: Job, settings: Settings) -> Callable[[], Any]:
    """Build a job's network, images and, for training, its optimizer.

    Inference uses `inference_mode` and eval mode. A training step is the forward pass in training
    mode, the backward pass from random gradients of the maps, as heads give them, and a step of
    AdamW. (The mean of a layer norm's output would have almost no gradient.)

    Returns:
        Function that runs the job once; it does not wait for a GPU.

    Raises:
        UsageError: If the network cannot be built or exported.
        RuntimeError: If the network returns other maps in a runtime.
    """
    contender = job.contender
    if job.way in RUNTIMES:
        return runtime_call(contender, job.shape, job.way, settings.threads)
    if job.recomputed:
        contender = contender._replace(options=contender.options | {'with_cp': True})
    model: Any = build(contender)
    if job.deployed:
        model = deploy(model)
    images = torch.rand(job.shape.batch, 3, job.shape.height, job.shape.width)
    images, model = images.to(settings.device), model.to(settings.device)
    if job.layout == CHANNELS_LAST:  # otherwise weights keep their format
        images = images.contiguous(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    model.train(job.step == TRAINING)
    network = _compile(model, settings.compile_mode) if job.compiled else model
    if job.step == TRAINING:
        return _training_step(model, network, images, settings)

    def forward() -> Any:
        with torch.inference_mode(), settings.autocast():
            return network(images)

    return capture(forward) if job.way in (GRAPH, GRAPH_DEPLOY) else forward


def capture(forward: Callable[[], Any]) -> Callable[[], Any]:
    """Capture a forward pass on a GPU as a CUDA graph.

    Returns:
        Function that replays it, and returns the same tensors every time, with new values.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # libraries choose algorithms before the capture
        for _ in range(3):
            forward()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        maps = forward()

    def replay() -> Any:
        graph.replay()
        return maps

    return replay


def _compile(model: nn.Module, mode: str) -> Any:
    # All networks share the code of their `forward`: beyond a limit of variants of the same code
    # the compiler would run further ones uncompiled.
    torch._dynamo.config.recompile_limit = 256
    torch._dynamo.config.accumulated_recompile_limit = 4096
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    return torch.compile(model, mode=mode, dynamic=False)


def _training_step(
    model: nn.Module, network: Any, images: Tensor, settings: Settings
) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    scaler = torch.amp.GradScaler(settings.device, enabled=settings.dtype == 'float16')
    gradients: list[Tensor] = []

    def step() -> None:
        with settings.autocast():
            maps = network(images)
        if not gradients:
            gradients.extend(torch.randn(x.shape, device=x.device) / x.numel() for x in maps)
        scaled = [scaler.scale(g).to(x.dtype) for g, x in zip(gradients, maps)]
        torch.autograd.backward(maps, scaled)
        scaler.step(optimizer)
        scaler.update()
        # At the end: waiting networks must not hold gradients.
        optimizer.zero_grad(set_to_none=True)

    return step
