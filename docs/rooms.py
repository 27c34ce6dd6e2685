"""Draw the rooms of eyenet/ and their imports as docs/pictures/rooms.svg.

    python docs/rooms.py            draw the picture
    python docs/rooms.py --check    change nothing; exit with 1 if the picture differs from the imports

An arrow leads from a room to one that it imports. An import is left out where a longer way of arrows leads there too.
"""

import functools
import html
import re
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

import grimp

REPO = Path(__file__).resolve().parent.parent
TARGET = REPO / "docs" / "pictures" / "rooms.svg"
CELL, GAP, MARGIN, HEAD, LINE = 144, 28, 12, 48, 15  # pixels
LETTERS = 6.1  # pixels, mean width of a letter
# Column, row and number of columns. Private rooms stand in the first row.
PLACES = {
    "station": (0, 0, 1),
    "report": (1, 0, 1),
    "recalibration": (2, 0, 1),
    "training": (3, 0, 1),
    "retraining": (4, 0, 1),
    "export": (5, 0, 1),
    "audit": (6, 0, 1),
    "sample": (7, 0, 1),
    "download": (8, 0, 1),
    "forms": (0, 1, 1),
    "letter": (7, 1, 1),
    "grading": (0, 2, 1),
    "model": (0, 3, 6),
    "sets": (0, 4, 3),
    "score": (3, 4, 4),
    "data": (0, 5, 7),
    "photo": (0, 6, 7),
    "run": (0, 7, 9),
}
STYLE = """<style>
  rect { fill: #fdf6e9; stroke: #b0793a; rx: 6px } .shared { fill: #e9f1f4; stroke: #35718a }
  text { font: 11px system-ui, sans-serif; fill: #222 } .name { font-weight: bold; font-size: 14px }
  line { stroke: #555; stroke-width: 1.4; marker-end: url(#head) }
</style>
<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
  <path d="M0 0 8 4 0 8z" fill="#555"/></marker>"""


def read_rooms():
    """Read which rooms each room imports, and its number of modules."""
    graph = grimp.build_graph("eyenet")
    imports, modules = defaultdict(set), defaultdict(int)
    for module in graph.modules - {"eyenet"}:
        room = module.split(".")[1]
        modules[room] += module.count(".") > 1
        names = {name.split(".")[1] for name in graph.find_modules_directly_imported_by(module) if "." in name}
        imports[room] |= names - {room}
    return imports, modules


def below(imports, room):
    """Return all rooms that a room imports, itself or by others."""
    return imports[room].union(*(below(imports, other) for other in imports[room]))


def arrows(imports):
    """Yield the pairs of rooms between which an arrow is drawn."""
    for room in PLACES:
        for other in sorted(imports[room]):
            if not any(other in below(imports, between) for between in imports[room]):
                yield room, other


def users_of(room):
    """Return the scripts that import a private room."""
    scripts = [*sorted(REPO.glob("*.py")), *sorted(REPO.glob("*.sh"))]
    return [path.name for path in scripts if re.search(rf"\beyenet\.{room}\b", path.read_text())]


def said_of(room):
    """Return the first sentence of a room's docstring."""
    text = (REPO / "eyenet" / room / "__init__.py").read_text().strip('"')
    return " ".join(re.split(r"\.\s|\n\n", text)[0].split())


@functools.cache  # each box needs those of all rows above it
def lines_of(room):
    """Return the lines in a room's box: who uses a private room, what is inside a shared one."""
    _, row, span = PLACES[room]
    return textwrap.wrap(said_of(room), int((CELL * span - 2 * MARGIN) / LETTERS)) if row else users_of(room)


def box(room):
    """Return left, upper, right and lower edge of a room, in pixels; the longest text of a row makes its height."""
    column, row, span = PLACES[room]
    rows = [[len(lines_of(other)) for other in PLACES if PLACES[other][1] == number] for number in range(row + 1)]
    high = [HEAD + LINE * max(counts) for counts in rows]
    left, upper = MARGIN + CELL * column, MARGIN + sum(high[:-1]) + GAP * row
    return left, upper, left + CELL * span - MARGIN, upper + high[-1]


def draw_room(room, modules):
    """Draw a room: its name, how many modules it has, and its lines."""
    left, upper, right, lower = box(room)
    said = f"{modules} modules" if modules > 1 else "1 module" if modules else "texts"
    kind = "shared" if PLACES[room][1] else "private"
    yield f'<rect class="{kind}" x="{left}" y="{upper}" width="{right - left}" height="{lower - upper}"/>'
    yield f'<text class="name" x="{left + 8}" y="{upper + 19}">{room}</text>'
    yield f'<text x="{left + 8}" y="{upper + 35}">{said}</text>'
    for number, line in enumerate(lines_of(room), 1):
        yield f'<text x="{left + 8}" y="{upper + 37 + LINE * number}">{html.escape(line)}</text>'


def draw():
    """Return the picture as SVG."""
    imports, modules = read_rooms()
    wide, high = (max(box(room)[edge] for room in PLACES) + MARGIN for edge in (2, 3))
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}">', STYLE]
    for room in PLACES:
        parts += draw_room(room, modules[room])
    for room, other in arrows(imports):
        left, _, right, lower = box(room)
        first, upper, last, _ = box(other)
        at = (max(left, first) + min(right, last)) / 2
        parts.append(f'<line x1="{at}" y1="{lower}" x2="{at}" y2="{upper}"/>')
    return "\n".join([*parts, "</svg>", ""])


def main():
    picture = draw()
    if "--check" in sys.argv:
        return int(not TARGET.exists() or TARGET.read_text() != picture)
    TARGET.write_text(picture)
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(REPO))
    sys.exit(main())
