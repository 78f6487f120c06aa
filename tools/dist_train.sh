#!/usr/bin/env bash
# Train on several processes of this machine, or of several machines:
#   tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=host MASTER_PORT=29500 tools/dist_train.sh ...
# Without GPUs the processes talk through gloo (mmengine chooses it by the device).
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2
  exit 2
fi
inputs=("${@:1:1}")
gpus=${@:2:1}
case $gpus in
  ''|*[!0-9]*|0) echo "error: GPUS must be a positive number, got '$gpus'" >&2; exit 2 ;;
esac
"${PYTHON:-python}" -m torch.distributed.run \
  --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
  --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${MASTER_PORT:-29500}" \
  --nproc_per_node="$gpus" \
  "$(dirname "$0")/train.py" "${inputs[@]}" --launcher pytorch "${@:3}"
