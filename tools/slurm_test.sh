#!/usr/bin/env bash
# Evaluate on a Slurm cluster, with the hosts' arguments:
#   GPUS=8 tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]
set -euo pipefail
if [ $# -lt 4 ]; then
  echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]" >&2
  exit 2
fi
"$(dirname "$0")/slurm_run.sh" "$1" "$2" test.py "${@:3}"
