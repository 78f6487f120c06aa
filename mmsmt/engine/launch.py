"""torchrun with a short report that does not hide the error of the failed process.

Run as `python -m mmsmt.engine.launch` with torchrun's arguments.
"""

import logging
import signal
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def main() -> None:
    """Run torchrun's command line; exit with the status of the process that failed first."""
    # Processes that torchrun stops after one has failed.
    logging.getLogger('torch.distributed.elastic.multiprocessing.api').setLevel(logging.CRITICAL)
    try:
        run.run(run.parse_args(None))
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        status = failure.exitcode
        if status < 0:
            name = signal.Signals(-status).name
            memory = ', possibly out of memory' * (name == 'SIGKILL')
            print(f'error: {name} killed the process of rank {rank}{memory}', file=sys.stderr)
        # A process that exits by itself has already reported its error.
        raise SystemExit(status if status > 0 else 128 - status) from None


if __name__ == '__main__':
    main()
