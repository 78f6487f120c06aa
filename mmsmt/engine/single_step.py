"""A single training step of a config."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from mmsmt.engine.runner import build_runner


def build_for_a_while(cfg: Config) -> tuple[Any, Any, Any]:
    """Build runner, randomly initialised model and optimizer wrapper for a temporary `work_dir`."""
    cfg.experiment_name = '_'.join(Path(cfg.work_dir).parts[-2:])
    # mmengine would reuse the last visualizer of a name, whose folder no longer exists.
    cfg.visualizer = dict(type='Visualizer', name=cfg.experiment_name, vis_backends=None)
    runner = build_runner(cfg)
    runner.model.init_weights()
    for name in ('epoch', 'iter'):  # used by losses of TOOD and others
        runner.message_hub.update_info(name, 0)
    return runner, runner.model, runner.build_optim_wrapper(cfg.optim_wrapper)


def forward_and_backward(model: nn.Module, wrapper: Any, batch: Any) -> float:
    """Run forward and backward as in mmengine, without the update, which clears gradients."""
    step: Any = model
    step.train()
    with wrapper.optim_context(model):
        losses = step(**step.data_preprocessor(batch, training=True), mode='loss')
    loss, _ = step.parse_losses(losses)
    loss.backward()
    return loss.item()
