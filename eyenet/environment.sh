# shellcheck shell=bash
# Sourced by run_pipeline.sh and run_tests.sh: creates the environment .venv and keeps it up to date.
# Needs bash and Python 3.11-3.13. PYTHON=/path/to/python selects the interpreter, EYENET_VENV the folder.

# missing_packages FILE - print the packages of a requirements file that $python cannot import, or not in that version.
# -I: what only PYTHONPATH or the user's own site-packages hold does not count.
missing_packages() {
    "$python" -I - "$1" <<'EOF'
import importlib.metadata, importlib.util, sys
from pip._vendor.packaging.requirements import Requirement

for line in open(sys.argv[1]):
    text = line.split("#")[0].strip()
    wanted = Requirement(text) if text else None
    if wanted is None or (wanted.marker and not wanted.marker.evaluate()):
        continue
    try:
        there = importlib.metadata.distribution(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        print(wanted.name)
        continue
    tops = {file.parts[0].removesuffix(".py") for file in there.files or () if file.suffix == ".py"}
    modules = [name for name in tops if name.isidentifier()]
    found = not modules or any(importlib.util.find_spec(name) for name in modules)
    if not found or not wanted.specifier.contains(there.version, prereleases=True):
        print(wanted.name)
EOF
}

# make_environment HERE REQUIREMENTS... - set $python to the environment's interpreter.
make_environment() {
    local here=$1 file candidate base="" wanted stamp missing
    shift
    # Settings that make pip install elsewhere or nothing, and Python look elsewhere.
    unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_PYTHON PIP_DRY_RUN PIP_NO_DEPS PIP_DOWNLOAD PYTHONHOME
    local venv=${EYENET_VENV:-$here/.venv}
    python=$venv/bin/python
    if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
        echo "error: $venv is not a Python environment; set EYENET_VENV to another folder" >&2
        return 1
    fi
    stamp=$venv/eyenet-requirements

    wanted=$(for file in "$@"; do cat "$here/$file"; done)
    # TensorFlow finds NVIDIA's libraries only when they are installed with it.
    if nvidia-smi >/dev/null 2>&1; then
        wanted=${wanted/tensorflow>=/tensorflow[and-cuda]>=}
    fi
    if ! "$python" -c "" 2>/dev/null; then
        for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
            if "$candidate" -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" 2>/dev/null; then
                base=$candidate
                break
            fi
        done
        if [ -z "$base" ]; then
            echo "error: Python 3.11, 3.12 or 3.13 is required and was not found; set PYTHON=/path/to/python" >&2
            return 1
        fi
        echo "creating the environment $venv with $("$base" --version)" >&2
        if ! "$base" -m venv "$venv"; then
            rm -rf "$venv" # it was empty or an environment (checked above)
            echo "error: $base cannot create an environment; on Debian and Ubuntu: apt install python3-venv" >&2
            return 1
        fi
    fi
    # Without bytecode, each start of a script compiles thousands of files again, those of TensorFlow. Where Python must
    # not write it beside the sources, as in many containers, it is kept in the environment.
    if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then
        unset PYTHONDONTWRITEBYTECODE
        PYTHONPYCACHEPREFIX=$(cd "$venv" && pwd)/bytecode
        export PYTHONPYCACHEPREFIX
    fi
    if [ -f "$stamp" ]; then
        # The test environment contains the pipeline's packages too.
        case "$(cat "$stamp")" in *"$wanted"*)
            if missing=$(missing_packages <(printf '%s\n' "$wanted")) && [ -z "$missing" ]; then
                return 0
            fi
            echo "the environment $venv lacks ${missing//$'\n'/, }" >&2
            ;;
        esac
    fi
    echo "installing $* (TensorFlow is large: 1 GB to download, 3 GB on disk)" >&2
    local quiet=(--quiet)
    if [ -t 2 ]; then quiet=(); fi # a terminal shows what pip downloads, and how far it is
    # The pip of Python 3.11 installs more slowly than a current one; without network it will do.
    "$python" -m pip install --quiet --disable-pip-version-check --upgrade pip 2>/dev/null || true
    # Python compiles what is imported, a fifth of all files, when it is imported.
    if ! printf '%s\n' "$wanted" >"$venv/requirements.txt" ||
        ! "$python" -m pip install ${quiet[@]+"${quiet[@]}"} --disable-pip-version-check --no-compile \
            -r "$venv/requirements.txt" >&2; then
        echo "error: the packages could not be installed (see pip's messages above); run the same command again" >&2
        return 1
    fi
    if ! missing=$(missing_packages "$venv/requirements.txt") || [ -n "$missing" ]; then
        echo "error: pip ended without an error, but $venv lacks ${missing//$'\n'/, }; a setting of pip may install" \
            "them elsewhere: $python -m pip config list" >&2
        return 1
    fi
    printf '%s\n' "$wanted" >"$stamp"
}
