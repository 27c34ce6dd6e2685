#!/usr/bin/env bash
# The tests in one command: makes the environment .venv, then ruff, shellcheck, pytest and the check of the speed.
# Arguments go to pytest, such as: bash run_tests.sh -k resize (then the speed is not checked)
set -euo pipefail
unset CDPATH

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=eyenet/environment.sh
. "$here/eyenet/environment.sh"
case ${EYENET_VENV:-/} in /*) ;; *) EYENET_VENV=$PWD/$EYENET_VENV ;; esac
make_environment "$here" requirements.txt requirements-dev.txt
cd "$here"
"$python" -m ruff check .
"$python" -m ruff format --check .
"$(dirname "$python")/shellcheck" -x ./*.sh eyenet/*.sh .ci/run
"$python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 10 "$@"
# By itself, since the tests keep both cores busy.
if [ $# -eq 0 ] && [ "$(uname)" = Linux ]; then
    exec "$python" benchmarks/suite.py --check
fi
