"""Download the competition's files with the official kaggle client. download_images.sh runs this module:

    python -m eyenet.download.competition OUTPUT train|test|labels ...      -> OUTPUT/archives/

One process checks the client, the credentials, the file list and the disk, then downloads the missing files. After a
network failure it exits with 75 ("try again") and the script restarts it; downloaded data is kept. The client is used
through its Python interface, which distinguishes an HTTP 403 from a lost connection. It resumes by itself but has no
timeout, so `Watch` ends the process when the server does not answer.
"""

import argparse
import contextlib
import importlib.util
import io
import os
import re
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from eyenet.run.errors import StageError, log, plural
from eyenet.run.processes import end_with_parent
from eyenet.run.script import run_main

COMPETITION = "diabetic-retinopathy-detection"
PAGE = f"https://www.kaggle.com/competitions/{COMPETITION}"
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
WHERE = (
    "make a token at https://www.kaggle.com/settings/api and put it into the variable KAGGLE_API_TOKEN or the "
    "file ~/.kaggle/access_token (an older key: KAGGLE_USERNAME and KAGGLE_KEY, or ~/.kaggle/kaggle.json)"
)
REFUSALS = {
    401: f"Kaggle does not accept the credentials (401) for {{}}; {WHERE}",
    403: "Kaggle refuses {} (403): accept the competition's rules at "
    f"{PAGE}/rules with the account that the token belongs to (Kaggle asks to verify its phone number first), "
    "then run the same command again",
    404: f"Kaggle does not have {{}} (404); check whether {PAGE}/data still offers it",
}


class Watch(threading.Thread):
    """End the process when no data arrives for `patience` seconds; without a terminal, log progress every 30 s."""

    def __init__(self, folder, patience):
        super().__init__(daemon=True)
        self.folder, self.patience, self.what = folder, patience, "the list of files"

    def run(self):
        before, since, said = None, time.monotonic(), time.monotonic()
        while True:
            time.sleep(0.2)
            now, state = time.monotonic(), (self.what, tree_size(self.folder / self.what))
            if state != before:
                before, since = state, now
            elif now - since > self.patience:
                log(f"{self.what}: nothing arrived for {self.patience:g} s")
                os._exit(TRY_AGAIN)
            if now - said > 30 and not sys.stderr.isatty():
                said = now
                log(f"{self.what}: {state[1] / 1e9:.2f} GB so far")


def tree_size(folder):
    """Sum the sizes of a folder's files in bytes; 0 if the folder does not exist."""
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.is_file())
    except FileNotFoundError:
        return 0


def connect():
    """Return the authenticated client."""
    for name in ("VERBOSE", "VERBOSE_OUTPUT"):  # with these set, the client prints whole responses of 8 GB
        os.environ.pop(name, None)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # hide its long advice; the error below is one sentence
            import kaggle

            kaggle.api.authenticate()
    except ImportError as error:
        raise StageError(f"the kaggle client does not start ({error}); pip install -r requirements.txt") from None
    except SystemExit:
        raise StageError(f"there are no valid Kaggle credentials; {WHERE}") from None
    return kaggle.api


def list_files(api):
    """Return {name: size in bytes} of all files of the competition."""
    files, token = {}, None
    while True:
        page = api.competition_list_files(COMPETITION, page_token=token, page_size=200)
        files.update({file.name: file.total_bytes for file in page.files})
        if not page.next_page_token or page.next_page_token == token:
            return files
        token = page.next_page_token


def choose_files(files, names):
    """Select the files for `names` (train, test, labels): the zip of the labels, all parts of a set from 001 on."""
    chosen = {}
    for name in sorted(names):  # labels first
        pattern = r"trainLabels\.csv\.zip" if name == "labels" else rf"{name}\.zip\.\d{{3}}"
        found = sorted(file for file in files if re.fullmatch(pattern, file))
        expected = found if name == "labels" else [f"{name}.zip.{i + 1:03d}" for i in range(len(found))]
        if not found or found != expected:
            raise StageError(
                f"Kaggle's list of files does not offer all parts of {name} (it has {', '.join(found) or 'none'}); "
                f"check {PAGE}/data, and try again later"
            )
        chosen.update({file: files[file] for file in found})
    return chosen


def check_disk(chosen, output):
    """Raise a StageError if the disk cannot hold the missing parts and the unpacked photographs."""
    archives = output / "archives"
    fetch = unpack = 0
    for name, size in chosen.items():
        if not is_whole(archives / name, size):
            fetch += max(0, size - tree_size(archives / "partial" / name))
        unpack += size  # zip hardly compresses JPEG
    unpack -= sum(tree_size(output / folder) for folder in {name.partition(".")[0] for name in chosen})
    need, free = fetch + max(0, unpack), shutil.disk_usage(output).free
    if need > free:
        raise StageError(
            f"the disk of {output} has {free / 1e9:,.1f} GB free, and {need / 1e9:,.1f} GB are needed "
            f"({fetch / 1e9:,.1f} to download, {max(0, unpack) / 1e9:,.1f} to unpack); free some space or give "
            "another --output"
        )
    if fetch:
        log(f"to download: {fetch / 1e9:,.2f} GB; disk needed: {need / 1e9:,.2f} GB, free: {free / 1e9:,.2f} GB")


def is_whole(path, size):
    """Return whether the file exists with that size; the CRCs of the zip verify its content later."""
    return path.is_file() and path.stat().st_size == size


def fetch(api, name, size, archives):
    """Download one file to archives/partial/NAME/, then move it to archives/NAME if its size is the listed one."""
    if is_whole(archives / name, size):
        return
    folder = archives / "partial" / name  # one folder per file, because the client takes the name from a URL
    folder.mkdir(parents=True, exist_ok=True)

    def arrived():
        files = [path for path in folder.iterdir() if not path.name.endswith(".kaggle-partial")]
        return files[0] if len(files) == 1 else folder / name

    if not is_whole(arrived(), size):
        api.competition_download_file(COMPETITION, name, path=str(folder), quiet=not sys.stderr.isatty())
    if not is_whole(arrived(), size):
        got = tree_size(folder)
        if got > size:  # nothing to resume from
            shutil.rmtree(folder)
        raise StageError(
            f"{name} has {plural(got, 'byte')}, but Kaggle's list says {size:,}; run the same command again, "
            f"and if that does not help, check {PAGE}/data"
        )
    os.replace(arrived(), archives / name)
    shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("names", nargs="+", choices=["train", "test", "labels"])
    options = parser.parse_args()
    if importlib.util.find_spec("kaggle") is None:
        raise StageError(f"{sys.executable} has no kaggle client; pip install -r requirements.txt")
    import requests  # with urllib3, comes with the client
    import urllib3

    end_with_parent(os.getppid())
    archives = options.output / "archives"
    watch = Watch(archives / "partial", float(os.environ.get("EYENET_STALL_SECONDS") or 120))
    watch.start()
    try:
        api = connect()
        chosen = choose_files(list_files(api), options.names)
        check_disk(chosen, options.output)
        for name, size in chosen.items():
            watch.what = name
            fetch(api, name, size, archives)
    # ValueError: the client received too few bytes. The last two: errors that requests passes through.
    except (requests.RequestException, ValueError, urllib3.exceptions.HTTPError, ConnectionError) as error:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        if 400 <= status < 500 and status not in (408, 429):  # 408: slow connection; 429: too many requests
            sentence = REFUSALS.get(status, f"Kaggle refuses {{}} ({status}: {error})")
            raise StageError(sentence.format(watch.what)) from None
        reason = re.sub(r"\?\S+", "?...", str(error))[:300]  # the query of a URL contains its signature
        log(f"{watch.what}: {type(error).__name__}: {reason}")
        return TRY_AGAIN


if __name__ == "__main__":
    sys.argv[0] = "download_images.sh"  # the name in error messages
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the script handles Ctrl-C; the client resumes
    run_main(main)
