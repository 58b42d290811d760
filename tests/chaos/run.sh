#!/usr/bin/env bash
# Nodes under faults while they work: killed at random; then a mesh with partitions, slow lines, full disks, wrong clocks and damaged
# files; then the file service, with histories that are checked. usage: run.sh PROGRAM TOOLS-FOLDER; CHAOS_SECONDS (60) for each,
# half of it for the file service; CHAOS_SEED (from the clock)
here=$(dirname "$0")
code=0
python3 "$here/chaos.py" "$1" "${CHAOS_SECONDS:-60}" "${CHAOS_SEED:-}" || code=$?
python3 "$here/mesh_chaos.py" "$1" "$2" "${CHAOS_SECONDS:-60}" "${CHAOS_SEED:-}" || code=$?
python3 "$here/fs_chaos.py" "$1" "$((${CHAOS_SECONDS:-60} / 2))" "${CHAOS_SEED:-}" || code=$?
exit $code
