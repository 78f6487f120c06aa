#!/usr/bin/env bash
# Evaluate on several processes of this machine, or of several machines (see dist_run.sh):
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of tools/test.py]" >&2
  exit 2
fi
exec "$(dirname "$0")/dist_run.sh" "$3" test.py "$1" "$2" "${@:4}"
