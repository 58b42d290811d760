#!/usr/bin/env bash
# Real processes: commands, bad input, faults, hostile peers and clients. usage: run.sh PROGRAM [NAME-PART…]
exec python3 "$(dirname "$0")/run.py" "$@"
