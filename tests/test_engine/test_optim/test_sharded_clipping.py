"""Clipping under FSDP."""

import pytest
from mmengine.config import Config

from mmsmt.engine.patches import replace_sharded_clipping


def test_clipping_under_fsdp_is_exchanged_or_refused() -> None:
    def config(**wrapper: object) -> Config:
        return Config(dict(strategy=dict(type='FSDPStrategy'), optim_wrapper=wrapper))

    cfg = config(type='AmpOptimWrapper', clip_grad=dict(max_norm=5.0))
    replace_sharded_clipping(cfg)
    assert cfg.optim_wrapper.type == 'mmsmt.ShardedAmpOptimWrapper' and cfg.optim_wrapper.use_fsdp
    cfg = config(type='OptimWrapper')
    replace_sharded_clipping(cfg)
    assert cfg.optim_wrapper.type == 'OptimWrapper'
    with pytest.raises(ValueError, match='clipped by their 2-norm'):
        replace_sharded_clipping(config(clip_grad=dict(max_norm=5.0, norm_type=1)))
    with pytest.raises(ValueError, match='clipping needs one of'):
        replace_sharded_clipping(config(type='Other', clip_grad=dict(max_norm=5.0)))
