"""The documentation: its figures are those of the result files, and its links lead somewhere."""

import re
import subprocess
import sys

from conftest import REPO


def test_the_readme_is_short_and_its_figures_are_the_measured_ones():
    assert len((REPO / "README.md").read_text().splitlines()) <= 200
    assert subprocess.run([sys.executable, REPO / "docs" / "tables.py", "--check"], check=False).returncode == 0


def test_links_lead_to_files_and_headings():
    pages = [*REPO.glob("*.md"), *REPO.glob("docs/*.md"), REPO / "app" / "README.md", REPO / "labels" / "README.md"]
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if link.startswith("http"):
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
                assert anchor in [re.sub(r"[^\w\- ]", "", t.lower()).replace(" ", "-") for t in titles], link
