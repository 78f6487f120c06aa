#!/usr/bin/env bash
# Train on a Slurm cluster, with the hosts' arguments:
#   GPUS=16 GPUS_PER_NODE=8 tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of tools/train.py]
# SRUN_ARGS passes more to srun, CPUS_PER_TASK defaults to 5.
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [arguments of tools/train.py]" >&2
  exit 2
fi
"$(dirname "$0")/slurm_run.sh" "$1" "$2" train.py "$3" --work-dir "$4" "${@:5}"
