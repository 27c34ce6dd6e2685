"""The hash chain of the register: canonical text, hashes, and finding what was changed.

The hash of an entry covers the hash of the entry before it, so none can be changed, removed, inserted or moved without
all later hashes changing too. A person who can write the file can also compute new hashes. Only a head (number and hash
of the last entry) that is kept elsewhere shows that.
"""

import json
import math
import re

from eyenet.run.files import sha256_text

LONGEST = 500  # characters of a text; identities, names and reasons are shorter
FIRST = "0" * 64  # the hash before the first entry
HEAD = re.compile(r"(\d{1,15}):([0-9a-f]{64})")
COVERED = ("id", "recorded", "kind", "patient", "visit", "body", "seal")


def canonical(value):
    """Write a value as JSON in ASCII, always with the same characters; long texts are cut (`cut`)."""
    return json.dumps(_tidy(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _tidy(value):
    if isinstance(value, dict):
        return {cut(str(key)): _tidy(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_tidy(item) for item in (sorted(value) if isinstance(value, set) else value)]
    if hasattr(value, "tolist"):  # a NumPy number
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else cut(str(value))


def cut(text):
    """Cut a long text; its length and hash follow, so that two long texts stay different."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}... ({len(text):,} characters, SHA-256 {sha256_text(text)})"


def seal(salt, body):
    """Commit to the body of an identity; reveals nothing about it once the random salt is erased."""
    return sha256_text(f"{salt}{body}")


def link(previous, row):
    """Compute the hash of an entry from that of the entry before it; `row` maps COVERED to their values."""
    return sha256_text(json.dumps([previous, *(row[name] for name in COVERED)]))
