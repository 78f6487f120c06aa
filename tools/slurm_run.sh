#!/usr/bin/env bash
# Common part of slurm_train.sh and slurm_test.sh: PARTITION JOB_NAME TOOL [its arguments]
set -euo pipefail
gpus=${GPUS:-8}
gpus_per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
command -v srun > /dev/null || { echo "error: srun not found: run this where Slurm is" >&2; exit 1; }
# SRUN_ARGS may hold several arguments.
# shellcheck disable=SC2086
exec srun --partition="$1" --job-name="$2" --gres=gpu:"$gpus_per_node" --ntasks="$gpus" \
  --ntasks-per-node="$gpus_per_node" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 \
  ${SRUN_ARGS:-} "${PYTHON:-python}" -u "$(dirname "$0")/$3" "${@:4}" --launcher slurm
