#!/usr/bin/env bash
# Nodes killed at random while they work. usage: run.sh PROGRAM; CHAOS_SECONDS (60), CHAOS_SEED (from the clock)
exec python3 "$(dirname "$0")/chaos.py" "$1" "${CHAOS_SECONDS:-60}" "${CHAOS_SEED:-}"
