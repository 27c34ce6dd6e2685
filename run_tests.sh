#!/usr/bin/env bash
# Run the checks and tests of EyeNet; bash run_tests.sh --help describes the options.
set -euo pipefail
unset CDPATH

if [ "${1:-}" = --help ]; then
    cat <<'EOF'
usage: run_tests.sh [--quick | --speed [--attempts N] | PYTEST OPTIONS]

Create the environment .venv, then run ruff, shellcheck, import-linter and the tests.

  --quick   leave out the tests that train, export or drive a browser; pytest options may follow
  --speed   measure the speed instead, and exit with 4 if a ratio is worse than recorded (benchmarks/bounds.csv);
            what is worse is measured three times, or --attempts times
  --help    show this text

Other arguments go to pytest, such as: bash run_tests.sh -k resize
EOF
    exit
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=eyenet/environment.sh
. "$here/eyenet/environment.sh"
case ${EYENET_VENV:-/} in /*) ;; *) EYENET_VENV=$PWD/$EYENET_VENV ;; esac
make_environment "$here" requirements.txt requirements-dev.txt
cd "$here"
if [ "${1:-}" = --speed ]; then
    exec "$python" benchmarks/suite.py --check "${@:2}"
fi
if [ "${1:-}" = --quick ]; then
    shift
    set -- -m "not slow" "$@"
fi
"$python" -m ruff check .
"$python" -m ruff format --check .
"$(dirname "$python")/shellcheck" -x ./*.sh eyenet/*.sh .ci/run
"$(dirname "$python")/lint-imports"
"$python" -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 10 "$@"
