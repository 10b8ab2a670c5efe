#!/usr/bin/env bash
# The MDS 5122 ladder in pieces: train for PIECE seconds (500), save, stop. Call it again until its exit status is 0.
# Saving comes after PIECE seconds; a training that is still there 60 s later is killed.
#
#   examples/mds5122/ladder.sh                              the full ladder, for a GPU
#   while examples/mds5122/ladder.sh; [ $? -eq 75 ]; do :; done        all pieces, one after the other
#   BUDGET=cpu examples/mds5122/ladder.sh --seeds 1         another budget; --seeds, --workers, --threads, --device
#
# Exit status: 0 all is trained and reported; 75 a piece is done, more is left; 2 a wrong PIECE; 137 it was killed;
# else that of cnnlab.
set -uo pipefail

budget=${BUDGET:-full}
piece=${PIECE:-500}
runs=${CNNLAB_RUNS:-runs}

# Less than this is used up before the first epoch is saved, so that no piece would come further.
if ! [[ "$piece" =~ ^[0-9]{1,9}$ ]] || [ "$((10#$piece))" -lt 30 ]; then
  echo "PIECE: received '$piece', expected seconds, 30 or more" >&2
  exit 2
fi
piece=$((10#$piece))

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
