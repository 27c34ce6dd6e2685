"""Compare two versions of the offline page, of one network, in turn: download, and the wait for a result.

    python benchmarks/pages.py --pages BEFORE AFTER --before COMMIT --data FOLDER      FOLDER/train/*.jpeg

--pages are the finished pages (export_model.py --format app) and --before is the commit of the first; they take turns
with the same photographs, in Chromium and in Firefox. The wait is the time from choosing a photograph to the frame that
shows its result, measured within the page; the medians over all photographs and turns are reported. Needs Node.js and
both browsers.
"""

import gzip
from pathlib import Path
from statistics import median

import record

from benchmarks import browser
from eyenet.export.page import NETWORK


def sizes(page):
    """Measure what a page downloads, in MB, and its scripts as a server compresses them, in kB."""
    files = [path for path in page.rglob("*") if path.is_file()]
    scripts = [path for path in files if path.suffix in (".js", ".mjs")]
    yield "download, once", sum(path.stat().st_size for path in files) / 1e6, "MB"
    yield "of this the network", (page / NETWORK).stat().st_size / 1e6, "MB"
    yield "scripts, gzip", sum(len(gzip.compress(path.read_bytes())) for path in scripts) / 1e3, "kB"


def waits(name, pages, photographs, repeat):
    """Grade the photographs in each page in turn; return the waits in seconds, a list for each page."""
    found = [[] for _ in pages]
    for turn in range(repeat + 1):  # the first turn compiles, and is not counted
        for photograph in photographs:
            for page, taken in list(zip(pages, found))[:: -1 if turn % 2 else 1]:
                wait = browser.browse("waiting", page.resolve(), name, file=photograph)["milliseconds"] / 1000
                if turn:
                    taken.append(wait)
    return found


def main():
    options = record.parse(__doc__)
    options.add_argument("--pages", type=Path, nargs=2, required=True, help="finished pages: before and after")
    options.add_argument("--before", required=True, help="commit of the first page")
    args = options.parse_args()
    photographs = sorted((args.data.resolve() / "train").glob("*.jpeg"))
    names = f"before ({args.before})", "after"
    rows = []
    for (what, before, unit), (_, after, _) in zip(*map(sizes, args.pages)):
        rows += [(f"{what}, {name}", f"{size:.3g}", unit, "") for name, size in zip(names, (before, after))]
        rows.append((f"{what}, after / before", f"{after / before:.2f}", "ratio", ""))
    for kind in browser.BROWSERS:
        if why := browser.missing(kind):
            raise SystemExit(f"the page cannot be run: {why}")
        found = waits(kind, args.pages, photographs, args.repeat)
        what = f"{kind}, choosing to result, {len(photographs)} photographs"
        rows += [(f"{what}, {name}", f"{median(each):.2f}", "s", "") for name, each in zip(names, found)]
        rows.append((f"{what}, after / before", f"{record.beside(*reversed(found)):.2f}", "ratio", "<= 1.05"))
    record.write("pages", rows)


if __name__ == "__main__":
    main()
