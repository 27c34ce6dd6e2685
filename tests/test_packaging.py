"""The package's metadata and the requirements files: one range for each dependency."""

import re
import tomllib
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


def requirements(path):
    """Read a requirements file: version ranges by package name without extras."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pairs = (re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?(.*)", line).groups() for line in lines if line)
    return {name.lower(): versions for name, versions in pairs}


def test_the_extras_of_the_package_are_the_requirements_files():
    dynamic = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["setuptools"]["dynamic"]
    assert dynamic["dependencies"]["file"] == "requirements-predict.txt"
    extras = {extra: source["file"] for extra, source in dynamic["optional-dependencies"].items()}
    named = {extra: f"requirements-{extra}.txt" for extra in ("dicom", "export", "cluster")}
    assert extras == named | {"train": "requirements.txt"}
    assert all((REPO / file).is_file() for file in extras.values())


def test_every_requirements_file_asks_for_the_same_versions():
    versions = {}
    for path in sorted(REPO.glob("requirements*.txt")):
        for name, wanted in requirements(path).items():
            assert wanted, f"{path.name}: {name} has no range"
            assert versions.setdefault(name, wanted) == wanted, f"{path.name}: another range of {name}"


def test_the_data_files_of_the_rooms_are_packaged():
    package_data = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    left_out = {".py", ".pyc", ".sh"}
    files = [path for path in (REPO / "eyenet").rglob("*.*") if path.is_file() and path.suffix not in left_out]
    assert files and all(any(path.match(pattern) for pattern in package_data) for path in files)
