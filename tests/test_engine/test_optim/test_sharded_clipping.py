"""Clipping under FSDP; a rank is this file, run as a program."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy

from mmsmt.engine.optim import ShardedOptimWrapper
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
    with pytest.raises(ValueError, match='clipping only by the 2-norm'):
        replace_sharded_clipping(config(clip_grad=dict(max_norm=5.0, norm_type=1)))
    with pytest.raises(ValueError, match='clipping under FSDP needs one of'):
        replace_sharded_clipping(config(type='Other', clip_grad=dict(max_norm=5.0)))


MAX_NORM = 0.1
RANKS = 4  # HYBRID_SHARD: two replicas, each sharded over two


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4))


def loss_of(model: nn.Module, rank: int) -> Tensor:
    x = torch.randn(6, 8, generator=torch.Generator().manual_seed(rank))
    return model(x).square().sum()


def clip_on_rank(rank: int, folder: Path, strategy: str) -> None:
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=RANKS
    )
    pairs = init_device_mesh('cpu', (2, RANKS // 2)) if strategy == 'HYBRID_SHARD' else None
    model = FullyShardedDataParallel(
        network(),
        device_mesh=pairs,
        sharding_strategy=ShardingStrategy[strategy],
        device_id=torch.device('cpu'),
        use_orig_params=True,
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    wrapper = ShardedOptimWrapper(optimizer=optimizer, clip_grad=dict(max_norm=MAX_NORM))
    with wrapper.optim_context(model):
        loss = loss_of(model, rank)
    wrapper.update_params(loss)
    with FullyShardedDataParallel.summon_full_params(model):
        state = {n.replace('_fsdp_wrapped_module.', ''): p for n, p in model.named_parameters()}
        torch.save({n: p.detach().clone() for n, p in state.items()}, folder / f'{rank}.pth')
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize('strategy', ['FULL_SHARD', 'HYBRID_SHARD', 'NO_SHARD'])
def test_the_norm_is_that_of_the_whole_gradient(tmp_path: Path, strategy: str) -> None:
    command = [sys.executable, __file__, str(tmp_path), strategy]
    ranks = [subprocess.Popen([*command, str(rank)]) for rank in range(RANKS)]
    assert [rank.wait(timeout=300) for rank in ranks] == [0] * RANKS
    model = network()
    (sum(loss_of(model, rank) for rank in range(RANKS)) / RANKS).backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
    assert norm > 10 * MAX_NORM
    torch.optim.SGD(model.parameters(), lr=1.0).step()
    for rank in range(RANKS):
        torch.testing.assert_close(torch.load(tmp_path / f'{rank}.pth'), model.state_dict())


if __name__ == '__main__':
    clip_on_rank(int(sys.argv[3]), Path(sys.argv[1]), sys.argv[2])
