#!/usr/bin/env bash
# The MDS 5122 ladder in pieces: train for at most PIECE seconds, save, stop. Call it again until it says that all is done.
#
#   examples/mds5122/ladder.sh                              the full ladder, for a GPU
#   while examples/mds5122/ladder.sh; [ $? -eq 75 ]; do :; done        all pieces, one after the other
#   BUDGET=cpu examples/mds5122/ladder.sh --seeds 1         another budget; --seeds, --workers, --threads, --device
#
# Exit status: 0 all is trained; 75 a piece is done, more is left; else that of cnnlab.
set -uo pipefail

budget=${BUDGET:-full}
piece=${PIECE:-500}
runs=${CNNLAB_RUNS:-runs}

for study in ${STUDIES:-mds5122 mds5122-mnist}; do
  started=$(date +%s)
  timeout --signal=INT --kill-after=60 "$piece" cnnlab study run "$study" --budget "$budget" --runs "$runs" "$@"
  status=$?
  if [ "$status" -eq 124 ]; then
    echo "piece done after $(($(date +%s) - started)) s; call it again to continue"
    exit 75
  fi
  [ "$status" -eq 0 ] || exit "$status"
  piece=$((piece - ($(date +%s) - started)))
  if [ "$piece" -le 0 ]; then
    echo "piece done; call it again to continue"
    exit 75
  fi
done
for study in ${STUDIES:-mds5122 mds5122-mnist}; do
  cnnlab report "$study" --budget "$budget" --runs "$runs" --html --csv || exit
done
