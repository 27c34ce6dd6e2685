#!/usr/bin/env bash
# The main job in one command: create the environment .venv, run every step, and print the results.
set -euo pipefail
unset CDPATH

usage() {
    cat <<'EOF'
usage: bash run_pipeline.sh [--sample [N] | --data DIR... | --kaggle] [--labels FILE...] [--columns C...]
                            [--work DIR] [--workers N] [--field F] [--colours C] [--max-rejected F]
                            [--scheduler URL] [-- CNN OPTIONS]

Run the whole pipeline: photographs -> retina, 256 px -> split by patient -> copies by class -> array -> network -> report.

  --sample [N]   draw N synthetic photographs (the default, N = 400); 5 to 15 minutes on two cores
  --data DIR...  graded photographs as they were published (docs/datasets.md): those below DIR/train, or below DIR if
                 there is no such folder. Several sets are trained on together, and their patients are never joined
  --labels FILE...  the label table of each set; default: DIR/trainLabels.csv, else the only .csv or .tsv in DIR, else
                 the folders of the photographs, named by grades (labels/README.md)
  --columns C... columns of each table that are not found by their names, such as image=photo,grade=stage
  --kaggle       Kaggle's 35,126 photographs: 35 GB to download, needs a Kaggle account (download_images.sh --help)
  --work DIR     folder for data/, labels/, figures/, models/ and logs/; default: this folder for the sample,
                 work/kaggle for Kaggle, work/NAME for --data .../NAME, work/A+B for two sets
  --workers N    number of threads of the image steps; default: all cores
  --field F      what a crop shows: auto (the default), circle or frame (resize_images.py --help)
  --colours C    natural (the default), or equalized, which makes cameras look alike
  --max-rejected F  fraction of unusable photographs above which a step fails; default 0.05
  --scheduler URL  address of a Dask scheduler, such as tcp://host:8786, whose workers run the image steps
                 (docs/cluster.md); they must see --work and the photographs under the same paths
  -- ...         options for cnn.py, such as: -- --epochs 10 --precision bfloat16

You can stop it at any time; the same command continues where it stopped.
PYTHON=/path/to/python3.12 selects the interpreter that creates the environment.
EOF
}

fail() {
    echo "run_pipeline.sh: error: $1" >&2
    exit "${2:-1}"
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=sample photographs=400 data=() tables=() columns=() work="" common=() resize=() cluster=()
needs=(requirements.txt)
while [ $# -gt 0 ]; do
    case "$1" in
    --sample)
        source=sample
        case "${2:-}" in '' | -*) ;; *)
            photographs=$2
            shift
            ;;
        esac
        ;;
    --data | --labels | --columns)
        option=$1 given=()
        while [ $# -ge 2 ] && [ "${2#-}" = "$2" ]; do
            given+=("$2")
            shift
        done
        [ ${#given[@]} -gt 0 ] || fail "$option needs a value: a folder, a table or its columns" 2
        case "$option" in
        --data) source=data data=("${given[@]}") ;;
        --labels) tables=("${given[@]}") ;;
        --columns) columns=(--columns "${given[@]}") ;;
        esac
        ;;
    --kaggle) source=kaggle ;;
    --work)
        [ $# -ge 2 ] || fail "--work needs a folder" 2
        work=$2
        shift
        ;;
    --workers)
        [ $# -ge 2 ] || fail "--workers needs a number" 2
        common+=(--workers "$2")
        shift
        ;;
    --colours)
        [ $# -ge 2 ] || fail "--colours needs natural or equalized" 2
        resize+=(--colours "$2")
        shift
        ;;
    --field)
        [ $# -ge 2 ] || fail "--field needs auto, circle or frame" 2
        resize+=(--field "$2")
        shift
        ;;
    --max-rejected)
        [ $# -ge 2 ] || fail "--max-rejected needs a number" 2
        common+=(--max-rejected "$2")
        shift
        ;;
    --scheduler)
        [ $# -ge 2 ] || fail "--scheduler needs a URL" 2
        cluster=(--scheduler "$2") needs=(requirements.txt requirements-cluster.txt)
        shift
        ;;
    --)
        shift
        break
        ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) fail "unknown option $1; bash run_pipeline.sh --help lists them" 2 ;;
    esac
    shift
done # the rest of "$@" goes to cnn.py

train=() names="" sets=""
for i in ${data[@]+"${!data[@]}"}; do
    [ -d "${data[i]}" ] || fail "there is no folder ${data[i]}"
    data[i]=$(cd "${data[i]}" && pwd)
    names=$names${names:++}$(basename "${data[i]}") sets=$sets${sets:+$'\n'}${data[i]}
    if [ -d "${data[i]}/train" ]; then train+=("${data[i]}/train"); else train+=("${data[i]}"); fi
done
case "$source" in
sample) work=${work:-$here} ;;
kaggle) work=${work:-$here/work/kaggle} ;;
data) work=${work:-$here/work/$names} ;;
esac
mkdir -p "$work" 2>/dev/null || fail "cannot create the folder $work"
work=$(cd "$work" && pwd)
for folder in ${train[@]+"${train[@]}"}; do
    case "$work/" in "$folder"/*) fail "--work $work is among the photographs in $folder; choose another --work" ;; esac
done
if [ "$source" = data ]; then # two data folders of the same name must not share a work folder; a set may be added
    case "$sets"$'\n' in
    "$(cat "$work/SOURCE" 2>/dev/null || echo "$sets")"$'\n'*) printf '%s\n' "$sets" >"$work/SOURCE" ;;
    *) fail "$work was made from $(tr '\n' ' ' <"$work/SOURCE"); choose another --work" ;;
    esac
    labels=(${tables[@]+"${tables[@]}"})
    [ ${#labels[@]} -gt 0 ] || labels=("${data[@]}")
elif [ ${#tables[@]} -gt 0 ]; then
    fail "--labels goes with --data" 2
else
    train=("$work/data/download/train") labels=("$work/labels/trainLabels.csv")
fi

# shellcheck source=eyenet/environment.sh
. "$here/eyenet/environment.sh"
make_environment "$here" "${needs[@]}"
export PYTHON=$python EYENET_PIPELINE=1 # the steps do not name the next one

# step TITLE COMMAND... - scripts report errors on stderr; their exit code is passed on.
number=1
step() {
    printf '\n== step %d of 7: %s\n' "$number" "$1" >&2
    number=$((number + 1))
    shift
    "$@" || exit $?
}
run() { step "$1" "$python" "$here/$1" "${@:2}"; }

download=() check=()
case "$source" in
sample) download=(--sample "$photographs") ;;
kaggle) download=(--kaggle train) ;;
data) check=(--labels "${labels[@]}" ${columns[@]+"${columns[@]}"}) ;;
esac
if [ ${#download[@]} -gt 0 ]; then
    step download_images.sh bash "$here/download_images.sh" "${download[@]}" --output "$work/data/download" \
        --labels-out "${labels[0]}"
fi
number=2
# ${a[@]+"${a[@]}"}: bash before 4.4 calls an empty array unset
run resize_images.py --input "${train[@]}" --output "$work/data/resized" ${check[@]+"${check[@]}"} \
    ${resize[@]+"${resize[@]}"} ${cluster[@]+"${cluster[@]}"} ${common[@]+"${common[@]}"}
run preprocess_images.py --input "$work/data/resized" --output "$work/data/preprocessed" --labels "${labels[@]}" \
    ${columns[@]+"${columns[@]}"} --labels-out "$work/labels/preprocessed.csv" --figures "$work/figures" \
    ${cluster[@]+"${cluster[@]}"} ${common[@]+"${common[@]}"}
run rotate_images.py --input "$work/data/preprocessed" --output "$work/data/rotated" \
    --labels "$work/labels/preprocessed.csv" --labels-out "$work/labels/rotated.csv" ${cluster[@]+"${cluster[@]}"} \
    ${common[@]+"${common[@]}"}
run image_to_array.py --input "$work/data/rotated" --labels "$work/labels/rotated.csv" --output "$work/data/array" \
    ${cluster[@]+"${cluster[@]}"} ${common[@]+"${common[@]}"}
run cnn.py --input "$work/data/array" --models "$work/models" --logs "$work/logs" "$@"
# The run's own folder: models/latest may be an old model, where it cannot be written.
models=$work/models model=cnn
while [ $# -gt 0 ]; do
    case "$1" in
    --run=*) model=${1#*=} ;;
    --run) model=${2:-} ;;
    --models=*) models=${1#*=} ;;
    --models) models=${2:-} ;;
    esac
    shift
done
run evaluate.py --brief --input "$work/data/array" --model "$models/$model" \
    --photographs "$work/data/resized/photographs.csv" ${common[@]+"${common[@]}"}
