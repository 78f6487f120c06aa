"""A killed training becomes what the unbroken one is: the short form of `make soak`."""

import multiprocessing

import pytest
import torch
from kill_campaign import LostError, run_campaign
from killable_training import Job
from training_states import differences

from mmsmt.datasets.digits import Parameters, prepare_digits

KILLS = 4


@pytest.fixture(scope='module')
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A classifier with an average of its weights, on eight digits."""
    home = tmp_path_factory.mktemp('soak')
    prepare_digits(home / 'data/digits', Parameters(1, 1, 160, 0))
    return Job('cls_smt_pico', home, epochs=3)


def test_nothing_is_lost(job: Job) -> None:
    context = multiprocessing.get_context('fork')  # its children find everything imported
    report = job.home / 'report.json'
    facts = run_campaign(job, KILLS, report, context, seed=1)
    assert facts['kills'] == KILLS and 1 <= facts['writing'] <= KILLS and facts['runs'] >= 1
    assert run_campaign(job, KILLS, report, context) == facts, 'a finished report is the result'
    # The state is one of everything: two scores a validation, an average, the best so far.
    state = torch.load(job.final('unbroken'), weights_only=False)
    assert {'ema_state_dict', 'optimizer', 'param_schedulers'} <= set(state)
    scores = state['message_hub']['log_scalars']['val/accuracy/top1']
    assert len(scores['history']) in (job.epochs - 1, job.epochs)
    assert list(job.folder('unbroken').glob('best_*'))
    # Control: one bit, somewhere in the optimizer.
    state['optimizer']['state'][0]['exp_avg'].view(torch.int32)[0] ^= 1
    job.folder('killed').mkdir()
    torch.save(state, job.final('killed'))
    assert differences(job.final('unbroken'), job.final('killed')) == ['optimizer.state.0.exp_avg']
    (job.folder('killed') / 'last_checkpoint').write_text(str(job.final('killed')))
    with pytest.raises(LostError, match='1 entries differ: optimizer.state.0.exp_avg'):
        run_campaign(job, KILLS, report, context)
