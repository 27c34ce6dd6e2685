// Says what operating points reached as the settings do, for tests/test_page_words.py: node points.mjs JOBS
// JOBS is a list of [point, questions, what was measured]; prints the lines of each.

import { load } from "./load.mjs";

const { sayMeasured } = await load("points.ts");
process.stdout.write(JSON.stringify(JSON.parse(process.argv[2]).map((job) => sayMeasured(...job))));
