"""The package's metadata and the requirements files: one range for each dependency."""

import importlib
import re
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from eyenet.model import pretrained
from eyenet.run.version import VERSION

REPO = Path(__file__).resolve().parent.parent


def requirements(path):
    """Read a requirements file: version ranges by package name without extras."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    pairs = (re.fullmatch(r"([\w.-]+?)(?:\[[\w,]+\])?([<>=].*)?", line).groups() for line in lines if line)
    return {name.lower(): versions for name, versions in pairs}


def test_the_extras_of_the_package_are_the_requirements_files():
    dynamic = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["setuptools"]["dynamic"]
    assert dynamic["dependencies"]["file"] == "requirements-predict.txt"
    extras = {extra: source["file"] for extra, source in dynamic["optional-dependencies"].items()}
    named = {extra: f"requirements-{extra}.txt" for extra in ("dicom", "export", "cluster", "station")}
    assert extras == named | {"train": "requirements.txt"}
    assert all((REPO / file).is_file() for file in extras.values())


def test_every_requirements_file_asks_for_the_same_versions():
    versions = {}
    for path in sorted(REPO.glob("requirements*.txt")):
        for name, wanted in requirements(path).items():
            assert wanted, f"{path.name}: {name} has no range"
            assert versions.setdefault(name, wanted) == wanted, f"{path.name}: another range of {name}"


def test_the_lock_file_pins_what_the_station_needs_with_hashes():
    """Made by the command in its second line; where a range has changed, run that again."""
    text = (REPO / "requirements-station.lock").read_text()
    pins = re.findall(
        r"^([\w.-]+)==(\S+)((?: ; [^\\\n]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE
    )
    versions = {canonicalize_name(name): version for name, version, _ in pins}
    assert len(pins) == text.count("==") - text.count("_platform ==") - text.count("_version ==")
    for part in ("predict", "dicom", "station"):
        assert f" requirements-{part}.txt" in text.splitlines()[1]
        for name, wanted in requirements(REPO / f"requirements-{part}.txt").items():
            assert versions[canonicalize_name(name)] in SpecifierSet(wanted), (
                f"{name} is {versions[name]}, not {wanted}"
            )


def test_the_version_is_read_from_one_place():
    made = tomllib.loads((REPO / "pyproject.toml").read_text())
    attribute = made["tool"]["setuptools"]["dynamic"]["version"]["attr"]
    module, _, name = attribute.rpartition(".")
    assert "version" in made["project"]["dynamic"]
    assert getattr(importlib.import_module(module), name) is VERSION and str(Version(VERSION)) == VERSION


def setuptools_settings():
    return tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["setuptools"]


SHIPPED = f"eyenet.pretrained.{pretrained.NAME}"  # a folder of files, without an __init__.py


def test_the_rooms_and_their_data_files_are_packaged():
    made = setuptools_settings()
    rooms = {f"eyenet.{path.parent.name}" for path in (REPO / "eyenet").glob("*/__init__.py")}
    assert set(made["packages"]) == {"eyenet", SHIPPED, *rooms}
    left_out = {".py", ".pyc", ".sh"}
    files = [path for path in (REPO / "eyenet").rglob("*.*") if path.is_file() and path.suffix not in left_out]
    assert files and all(any(path.match(pattern) for pattern in made["package-data"]["*"]) for path in files)


def test_the_network_that_ships_is_packaged():
    """Where eyenet.model.pretrained looks for it: the folder is mapped, and all of its files are package data."""
    made = setuptools_settings()
    assert REPO / made["package-dir"][SHIPPED] == pretrained.folder() and made["package-data"][SHIPPED] == ["*"]
    installed = pretrained.PACKAGE.parent.joinpath(*SHIPPED.split("."))
    assert installed == pretrained.PACKAGE / "pretrained" / pretrained.NAME
    assert (pretrained.folder() / "model.tflite").is_file()


def test_only_modules_that_run_in_an_installation_are_packaged():
    """A module may import modules of its own package and dependencies, but no script of the checkout."""
    made = setuptools_settings()
    scripts = {path.stem for path in REPO.glob("*.py")} | {path.stem for path in (REPO / "benchmarks").glob("*.py")}
    for package in made["packages"]:
        folder = REPO / made["package-dir"].get(package, package.replace(".", "/"))
        for path in folder.glob("*.py"):
            imported = set(re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE))
            assert not imported & scripts, f"{path} imports {imported & scripts}"
