#!/usr/bin/env bash
# The main job in one command: create the environment .venv, run every step, and print the results.
set -euo pipefail
unset CDPATH

usage() {
    cat <<'EOF'
usage: bash run_pipeline.sh [--sample [N] | --data DIR | --kaggle] [--work DIR] [--workers N]
                            [--colours C] [--max-rejected F] [--scheduler URL] [-- CNN OPTIONS]

Run the whole pipeline: photographs -> retina, 256 px -> split by patient -> copies by class -> array -> network -> report.

  --sample [N]   draw N synthetic photographs (the default, N = 400); 5 to 15 minutes on two cores
  --data DIR     your own photographs: DIR/train/*.jpeg and DIR/trainLabels.csv (image,level)
  --kaggle       Kaggle's 35,126 photographs: 35 GB to download, needs a Kaggle account (download_images.sh --help)
  --work DIR     folder for data/, labels/, figures/, models/ and logs/; default: this folder for the sample,
                 work/kaggle for Kaggle, work/NAME for --data .../NAME
  --workers N    number of threads of the image steps; default: all cores
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
source=sample photographs=400 data="" work="" common=() resize=() cluster=() needs=(requirements.txt)
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
    --data)
        [ $# -ge 2 ] || fail "--data needs a folder" 2
        source=data data=$2
        shift
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

if [ "$source" = data ]; then
    [ -d "$data/train" ] || fail "there is no folder $data/train; --data needs DIR/train/*.jpeg and DIR/trainLabels.csv"
    [ -f "$data/trainLabels.csv" ] || fail "there is no table $data/trainLabels.csv (image,level)"
    data=$(cd "$data" && pwd)
fi
case "$source" in
sample) work=${work:-$here} ;;
kaggle) work=${work:-$here/work/kaggle} ;;
data) work=${work:-$here/work/$(basename "$data")} ;;
esac
mkdir -p "$work" 2>/dev/null || fail "cannot create the folder $work"
work=$(cd "$work" && pwd)
if [ "$source" = data ]; then # two data folders of the same name must not share a work folder
    [ "$(cat "$work/SOURCE" 2>/dev/null || echo "$data")" = "$data" ] ||
        fail "$work was made from $(cat "$work/SOURCE"); choose another --work"
    printf '%s\n' "$data" >"$work/SOURCE"
fi

# shellcheck source=eyenet/environment.sh
. "$here/eyenet/environment.sh"
make_environment "$here" "${needs[@]}"
export PYTHON=$python

# step TITLE COMMAND... - scripts report errors on stderr; their exit code is passed on.
step() {
    echo >&2
    echo "== $1" >&2
    shift
    "$@" || exit $?
}
run() { step "$1" "$python" "$here/$1" "${@:2}"; }

train=$work/data/download/train labels=$work/labels/trainLabels.csv
case "$source" in
sample) download=(--sample "$photographs") ;;
kaggle) download=(--kaggle train) ;;
data) download=() train=$data/train labels=$data/trainLabels.csv ;;
esac
if [ ${#download[@]} -gt 0 ]; then
    step download_images.sh bash "$here/download_images.sh" "${download[@]}" --output "$work/data/download" \
        --labels-out "$labels"
fi
# ${a[@]+"${a[@]}"}: bash before 4.4 calls an empty array unset
run resize_images.py --input "$train" --output "$work/data/resized" ${resize[@]+"${resize[@]}"} \
    ${cluster[@]+"${cluster[@]}"} ${common[@]+"${common[@]}"}
run preprocess_images.py --input "$work/data/resized" --output "$work/data/preprocessed" --labels "$labels" \
    --labels-out "$work/labels/preprocessed.csv" --figures "$work/figures" ${cluster[@]+"${cluster[@]}"} \
    ${common[@]+"${common[@]}"}
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
run evaluate.py --input "$work/data/array" --model "$models/$model" \
    --photographs "$work/data/resized/photographs.csv" ${common[@]+"${common[@]}"}

cat <<EOF

model        $models/$model/model.keras
report       $models/$model/report.html
TensorBoard  $python -m tensorboard.main --logdir $work/logs
figures      $work/figures/
EOF
