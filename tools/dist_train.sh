#!/usr/bin/env bash
# Train on several processes of this machine, or of several machines (see dist_run.sh):
#   tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=host MASTER_PORT=29500 tools/dist_train.sh ...
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2
  exit 2
fi
exec "$(dirname "$0")/dist_run.sh" "$2" train.py "$1" "${@:3}"
