#!/usr/bin/env bash
# Step 1: get the photographs. Run it with --help, or read the text below.
set -euo pipefail

print_help() {
    cat <<'HELP'
Step 1: get the photographs and their labels.

Usage
    bash download_images.sh --sample [N]                  N synthetic photographs (400), made locally in a minute
    bash download_images.sh --kaggle [train|test|both]    the competition's photographs (train)

Options
    --output FOLDER        folder to write (data/download)
    --labels-out TABLE     label table to write (labels/trainLabels.csv)
    --keep-archives        keep the downloaded zip parts; without it, they are deleted after every photograph
                           was unpacked and its CRC verified
    --help

Writes
    FOLDER/train/*.jpeg, FOLDER/test/*.jpeg      the photographs
    TABLE                                        image,level (train only)
    FOLDER/archives/                             the downloaded files, until they are unpacked
    FOLDER/SOURCE, FOLDER/train.complete         sample or kaggle; the number of photographs when complete

Before --kaggle
    1. pip install -r requirements.txt (includes the kaggle client).
    2. With a Kaggle account, accept the rules (Kaggle asks to verify the account's phone number first):
       https://www.kaggle.com/competitions/diabetic-retinopathy-detection/rules
    3. Make a token at https://www.kaggle.com/settings/api, and put it into the variable KAGGLE_API_TOKEN or
       into the file ~/.kaggle/access_token (chmod 600). An older key works too: KAGGLE_USERNAME and
       KAGGLE_KEY, or ~/.kaggle/kaggle.json. Secrets never go on the command line.

What to expect
              photographs   to download   disk while unpacking   afterwards   at 20 MB/s
    train          35,126         35 GB                  70 GB        35 GB   30 min, and 10 min to unpack
    test           53,576         53 GB                 106 GB        53 GB   45 min, and 15 min
    The zip consists of parts of up to 8 GB and is unpacked directly from them. The script can be interrupted
    at any time (Ctrl-C, kill -9, lost connection): the same command continues where it stopped. If everything
    is complete (train.complete agrees with the number of files), it does nothing and uses no network.

Examples
    bash download_images.sh --sample 40 --output data/small --labels-out data/small/labels.csv
    nohup bash download_images.sh --kaggle both > download.log 2>&1 &

Environment
    PYTHON                 interpreter (.venv/bin/python beside this script if it exists, else python3)
    EYENET_STALL_SECONDS   retry if the server sends nothing for this many seconds (120)
    EYENET_RETRY_SECONDS   pause before the second of 5 attempts; later pauses are longer (10)

Exit codes: 0 done, 1 could not be done (the reason is one sentence), 2 wrong usage, 130 Ctrl-C.
HELP
}

say() { printf '%s\n' "$*" >&2; }
fail() { say "download_images.sh: error: $*"; exit 1; }
wrong_usage() { say "download_images.sh: error: $*; see --help"; exit 2; }

is_number() { case $1 in '' | *[!0-9]*) return 1 ;; esac; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" > /dev/null && pwd)
output=data/download
labels=labels/trainLabels.csv
keep=no

parse_options() {
    source='' sets=train photographs=400
    while [ $# -gt 0 ]; do
        case $1 in
            --help | -h) print_help; exit 0 ;;
            --sample)
                [ -z "$source" ] || wrong_usage "give --sample or --kaggle once"
                source=sample
                if is_number "${2-}"; then photographs=$2; shift; fi ;;
            --kaggle)
                [ -z "$source" ] || wrong_usage "give --sample or --kaggle once"
                source=kaggle
                case ${2-} in
                    train | test) sets=$2; shift ;;
                    both) sets='train test'; shift ;;
                esac ;;
            --output) [ -n "${2-}" ] || wrong_usage "--output needs a folder"; output=${2%/}; shift ;;
            --labels-out) [ -n "${2-}" ] || wrong_usage "--labels-out needs a file"; labels=$2; shift ;;
            --keep-archives) keep=yes ;;
            *) wrong_usage "unknown: $1" ;;
        esac
        shift
    done
    [ -n "$source" ] || wrong_usage "give --sample or --kaggle"
    case $output in -*) output=./$output ;; esac # so that no command takes it for an option
    case $labels in -*) labels=./$labels ;; esac
    is_number "${EYENET_STALL_SECONDS:-120}" || wrong_usage "EYENET_STALL_SECONDS must be a whole number"
    is_number "${EYENET_RETRY_SECONDS:-10}" || wrong_usage "EYENET_RETRY_SECONDS must be a whole number"
}

find_python() {
    if [ -z "${PYTHON-}" ]; then
        PYTHON=python3
        if [ -x "$here/.venv/bin/python" ]; then PYTHON=$here/.venv/bin/python; fi
    fi
    local code=0
    "$PYTHON" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(3); import tqdm' 2> /dev/null || code=$?
    case $code in
        0) ;;
        1) fail "$PYTHON lacks the packages; run \"$PYTHON\" -m pip install -r \"$here/requirements.txt\"" ;;
        *) fail "$PYTHON is not Python 3.11 or newer; install it, or set the variable PYTHON to its path" ;;
    esac
}

# Run a module of this repository. PYTHONSAFEPATH: do not import modules from the current folder.
eyenet() {
    local module=$1 code=0
    shift
    PYTHONSAFEPATH=1 PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" "$PYTHON" -m "eyenet.download.$module" "$@" || code=$?
    [ "$code" -le 128 ] || # Python could not print an error itself
        fail "Python was ended by signal $((code - 128)) (9 may mean too little memory);" \
            "run the same command again to continue"
    return "$code"
}

# One run at a time. The lock belongs to the open file, which this script and its children share; it is released when
# the last of them ends.
lock_output() {
    exec 9> "$output/.lock"
    local patience=10 # tenths of a second, for the children of a run that was just killed
    until "$PYTHON" -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(1)
except OSError:  # some network file systems have no locks
    pass'; do
        [ "$patience" -gt 0 ] || fail "another run is writing to $output; wait for it, or stop it"
        patience=$((patience - 1))
        sleep 0.1
    done
}

holds_files() { # photographs or parts of them
    [ -n "$(find "$output" -type f \( -name '*.jpeg' -o -path '*/archives/*' \) 2> /dev/null | head -n 1)" ]
}

# Keep synthetic and real photographs in separate folders. SOURCE records which kind a folder holds; it is ignored while
# the folder is empty, so that --sample works after a failed --kaggle.
claim_output() {
    mkdir -p "$output" 2> /dev/null && [ -w "$output" ] ||
        fail "the folder $output cannot be written; choose another --output"
    lock_output
    local there=''
    if [ -f "$output/SOURCE" ]; then there=$(cat "$output/SOURCE"); fi
    if [ -f "$output/train/stage.json" ]; then there=sample; fi # make_sample.py was run by itself
    [ "$there" != "$source" ] || return 0
    [ -z "$there" ] || ! holds_files ||
        fail "$output holds photographs of --$there; give another --output (and --labels-out)"
    { printf '%s\n' "$source" > "$output/.SOURCE.tmp" && mv "$output/.SOURCE.tmp" "$output/SOURCE"; } 2> /dev/null ||
        fail "$output/SOURCE cannot be written; is the disk full?"
}

get_sample() {
    claim_output
    "$PYTHON" "$here/make_sample.py" --photographs "$photographs" --output "$output" --labels-out "$labels" > /dev/null
    finish train # finish prints the summary for both sources
}

finish() {
    eyenet archive count "$output" "$labels" "$@"
    local next="python resize_images.py"
    if [ "$output" != data/download ] || [ "$*" = test ]; then next="$next --input $(printf %q "$output/$1")"; fi
    [ -n "${EYENET_PIPELINE:-}" ] || echo "next: $next" # run_pipeline.sh runs it
}

count_photographs() { find "$output/$1" -name '*.jpeg' 2> /dev/null | wc -l | tr -d ' '; }

# Test whether a set is complete: unpack writes its number of photographs after verifying each CRC.
is_complete() {
    [ -f "$output/$1.complete" ] || return 1
    local expected there
    expected=$(cat "$output/$1.complete")
    there=$(count_photographs "$1")
    is_number "$expected" && [ "$there" -ge "$expected" ] && return 0
    say "note: $output/$1 holds $there photographs of $expected; getting the rest"
    return 1
}

count_archives() {
    local count=0 file
    for file in "$output"/archives/*.zip*; do if [ -f "$file" ]; then count=$((count + 1)); fi; done
    echo "$count"
}

# Download the missing files in up to 5 attempts; a completed part resets the count.
fetch() {
    local attempt=1 code before pause
    while true; do
        before=$(count_archives)
        code=0
        eyenet competition "$output" "$@" >&2 || code=$? # the client prints to stdout
        [ "$code" -ne 0 ] || return 0
        [ "$code" -eq 75 ] || exit "$code" # it has printed the reason
        if [ "$(count_archives)" -gt "$before" ]; then attempt=1; fi
        [ "$attempt" -lt 5 ] ||
            fail "5 attempts failed (see the last error above); downloaded data is kept:" \
                "check the network, then run the same command again"
        pause=$((${EYENET_RETRY_SECONDS:-10} * attempt))
        attempt=$((attempt + 1))
        say "attempt $attempt of 5 in $pause s"
        sleep "$pause"
    done
}

get_kaggle() {
    claim_output
    local set missing=''
    for set in $sets; do is_complete "$set" || missing="$missing $set"; done
    case "$sets,$missing,$([ -f "$labels" ] || echo none)" in # the labels belong to train
        *,*train*,* | *train*,none) missing="$missing labels" ;;
    esac
    if [ -n "$missing" ]; then
        # shellcheck disable=SC2086 # words
        fetch $missing
        case $missing in *labels*) eyenet archive labels "$output" "$labels" ;; esac
        for set in $missing; do
            if [ "$set" != labels ]; then eyenet archive unpack "$output" "$set"; fi
        done
    else
        say "everything is already complete; nothing was downloaded"
    fi
    if [ "$keep" = no ]; then
        for set in $sets; do rm -f "$output/archives/$set.zip."[0-9][0-9][0-9]; done
        rm -f "$output/archives/trainLabels.csv.zip"
    fi
    rmdir "$output/archives/partial" "$output/archives" 2> /dev/null || true # if empty
    # shellcheck disable=SC2086 # words
    finish $sets
}

trap 'say "download_images.sh: stopped; run the same command again to continue"; exit 130' INT
parse_options "$@"
find_python
"get_$source"
