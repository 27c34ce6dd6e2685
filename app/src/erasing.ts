/** The deletion of results: of the history, and as patients in progress. */

import { forgetProgress, listTakenElsewhere, withFree } from "./progress";
import { type Visit, list, removeAll, removeThose } from "./store";

/** Delete results for which a test holds. Patients in progress in other windows stay. Returns the ids of those deleted. */
export async function erase(ids: string[], test: (visit: Visit) => boolean = () => true): Promise<string[]> {
  return withFree(ids, async (free) => {
    const removed = await removeThose(free, test);
    await forgetProgress(removed);
    return removed;
  });
}

/** Delete all results. False, and nothing is deleted, if a patient is in progress in another window. */
export async function eraseAll(): Promise<boolean> {
  if ((await listTakenElsewhere()).length) return false;
  const ids = (await list()).map(({ id }) => id);
  return withFree(ids, async (free) => {
    if (free.length < ids.length) return false;
    await removeAll();
    await forgetProgress(null);
    return true;
  });
}
