#!/bin/sh
# Measures training and inference on one NVIDIA GPU; needs nothing from a network.
#
#   benchmarks/gpu.sh [--output FOLDER] [--minutes 30] [--only STAGE,STAGE] [--tiny]
#
# Run it again with the same folder to go on: rows that are finished are not measured again.
# PYTHON is the interpreter; the default is .venv/bin/python, or python3 where there is none. With a
# torch of the machine's own, WHEELS=FOLDER names a folder with the packages that it lacks besides
# (benchmarks/README.md says how to fill it); they are put beside the output and nowhere else.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
    PYTHON=python3
    if [ -x .venv/bin/python ]; then PYTHON=.venv/bin/python; fi
fi
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
if [ -n "${WHEELS:-}" ]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$PYTHON" -m pip install -q --no-index --no-deps --target "$site" "$WHEELS"/*.whl
    PYTHONPATH="$PYTHONPATH:$site"
fi
export PYTHONPATH PYTHONUNBUFFERED=1
"$PYTHON" -m benchmarks.gpu "$@"
