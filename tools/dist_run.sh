#!/usr/bin/env bash
# Common part of dist_train.sh and dist_test.sh: GPUS TOOL [its arguments]
# Several machines: NNODES, NODE_RANK, MASTER_ADDR and MASTER_PORT (or PORT) in the environment.
# Without GPUs the processes communicate over gloo.
set -euo pipefail
case $1 in
  ''|*[!0-9]*|0) echo "error: GPUS must be a positive number, got '$1'" >&2; exit 2 ;;
esac
"${PYTHON:-python}" -c 'import importlib.util as u; u.find_spec("mmsmt").name' 2> /dev/null || {
  echo "error: '${PYTHON:-python}' has no mmsmt: activate its environment, or set PYTHON" >&2
  exit 1
}
# Set by mmengine and torchrun anyway, with a warning per process.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" MKL_NUM_THREADS="${MKL_NUM_THREADS:-1}"
exec "${PYTHON:-python}" -m mmsmt.engine.launch \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${MASTER_PORT:-${PORT:-29500}}" \
  --nproc_per_node="$1" "$(dirname "$0")/$2" "${@:3}" --launcher pytorch
