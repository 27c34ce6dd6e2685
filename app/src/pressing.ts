/** Whether a button is being pressed: if it were drawn again before it is let go, the browser would report no click. */

const MOST = 1_000; // milliseconds to wait for a pointer, which may be let go outside the window

let pressed: Promise<void> | null = null;
let letGo = (): void => undefined;

addEventListener(
  "pointerdown",
  () => {
    pressed ??= new Promise((resolve) => (letGo = resolve));
  },
  { capture: true },
);
for (const end of ["pointerup", "pointercancel"]) {
  const release = (): void => {
    pressed = null;
    letGo();
  };
  addEventListener(end, () => setTimeout(release), { capture: true }); // after the click
}

/** Wait until no button is being pressed, so that the page may be drawn again. */
export async function released(): Promise<void> {
  if (pressed) await Promise.race([pressed, new Promise((resolve) => setTimeout(resolve, MOST))]);
}
