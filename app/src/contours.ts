/** Contours of a map of values, as paths of SVG: marching squares, the plane case of marching cubes (W. E. Lorensen and
 *  H. E. Cline, "Marching cubes: a high resolution 3D surface construction algorithm", SIGGRAPH, 1987). */

interface Crossing {
  edge: number;
  falls: boolean; // along the square, clockwise, the values fall below the level
}

/**
 * Enclose where a square map reaches a level.
 *
 * The value in row y and column x lies at (x + 0.5, y + 0.5); beyond the map the values count as 0, so that every contour
 * is closed. Returns the path, which is empty if no value reaches the level; a map of `side` values is `whole` units wide.
 */
export function contourOf(values: ArrayLike<number>, side: number, level: number, whole: number): string {
  const next = followersOf(values, side, level);
  const loops: string[] = [];
  for (const start of next.keys()) {
    const points: string[] = [];
    for (let edge: number | undefined = start; edge !== undefined; ) {
      points.push(pointOn(edge, values, side, level, whole));
      const after = next.get(edge);
      next.delete(edge);
      edge = after;
    }
    points.pop(); // the first again
    if (points.length > 2) loops.push(`M${points.join("L")}Z`);
  }
  return loops.join("");
}

/** The values in a frame of one row and column of zeros. */
function valueAt(values: ArrayLike<number>, side: number, x: number, y: number): number {
  return x < 0 || y < 0 || x >= side || y >= side ? 0 : values[y * side + x];
}

/**
 * Map each edge that a contour crosses to the next one. An edge from the value at (x, y) to its right-hand neighbour has
 * the number 2 * ((y + 1) * (side + 1) + x + 1), and the one to the value below it that number plus 1.
 *
 * In a square of four neighbours the contour enters where the values fall below the level, clockwise, and leaves where
 * they rise; the next square sees the second edge the other way round. Where a square has four crossings, the mean of its
 * values decides whether the corners above the level are joined.
 */
function followersOf(values: ArrayLike<number>, side: number, level: number): Map<number, number> {
  const next = new Map<number, number>();
  const edgeAt = (x: number, y: number) => 2 * ((y + 1) * (side + 1) + x + 1);
  for (let y = -1; y < side; y++) {
    for (let x = -1; x < side; x++) {
      const corners = [valueAt(values, side, x, y), valueAt(values, side, x + 1, y), valueAt(values, side, x + 1, y + 1), valueAt(values, side, x, y + 1)];
      const edges = [edgeAt(x, y), edgeAt(x + 1, y) + 1, edgeAt(x, y + 1), edgeAt(x, y) + 1];
      const crossings: Crossing[] = [];
      corners.forEach((value, i) => {
        const [from, to] = [value >= level, corners[(i + 1) % 4] >= level];
        if (from !== to) crossings.push({ edge: edges[i], falls: from });
      });
      const step = corners.reduce((sum, value) => sum + value) >= 4 * level ? 1 : -1;
      crossings.forEach(({ edge, falls }, i) => {
        if (falls) next.set(edge, crossings[(i + step + crossings.length) % crossings.length].edge);
      });
    }
  }
  return next;
}

/** Find where a contour crosses an edge, interpolated linearly. */
function pointOn(edge: number, values: ArrayLike<number>, side: number, level: number, whole: number): string {
  const place = edge >> 1;
  const [x, y, down] = [(place % (side + 1)) - 1, Math.floor(place / (side + 1)) - 1, edge & 1];
  const [one, other] = [valueAt(values, side, x, y), valueAt(values, side, x + 1 - down, y + down)];
  const share = (level - one) / (other - one);
  return [x + 0.5 + share * (1 - down), y + 0.5 + share * down].map((at) => Math.round((at / side) * whole)).join(" ");
}
