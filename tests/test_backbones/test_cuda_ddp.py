"""Distributed data parallelism over NCCL has the gradients of one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.cuda

# Every process takes its share of the batch; batch norms are synchronised. Rank 0 compares.
SCRIPT = """
import os
import torch
from torch import distributed, nn
from mmsmt.backbones import SMT

def loss_of(maps):
    return sum((each * each.roll(1, 1)).mean() for each in maps)

def gradient_of(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])

rank, world = (int(os.environ[key]) for key in ('LOCAL_RANK', 'WORLD_SIZE'))
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
torch.cuda.set_device(rank)
distributed.init_process_group('nccl')
torch.manual_seed(0)
images = torch.randn(2 * world, 3, 64, 96).cuda()
model = SMT('pico', with_cp={with_cp}).cuda()
for parameter in model.parameters():
    nn.init.normal_(parameter, std=0.1)
spread = nn.SyncBatchNorm.convert_sync_batchnorm(SMT('pico', with_cp={with_cp})).cuda()
spread.load_state_dict(model.state_dict())
spread = nn.parallel.DistributedDataParallel(spread, device_ids=[rank])
loss_of(spread(images.chunk(world)[rank])).backward()
loss_of(model(images)).backward()
got, want = gradient_of(spread.module), gradient_of(model)
error = ((got - want).square().mean() / want.square().mean()).sqrt().item()
assert error < 1e-3, error
for (name, a), b in zip(spread.module.named_buffers(), model.buffers(), strict=True):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4, msg=lambda m: f'{name}: {m}')
distributed.destroy_process_group()
"""


@pytest.mark.parametrize('with_cp', [False, True], ids=['plain', 'recomputed'])
def test_gradients_and_statistics(with_cp: bool, tmp_path: Path) -> None:
    """With two GPUs two processes, else one."""
    script = tmp_path / 'train.py'
    script.write_text(SCRIPT.replace('{with_cp}', str(with_cp)))
    launcher = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node']
    ours = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (os.environ.get('PYTHONPATH'), ours)))
    done = subprocess.run(
        [*launcher, str(min(torch.cuda.device_count(), 2)), str(script)],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
