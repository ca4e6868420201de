// One of several k6 that put a scenario on the target one after the other (k6/segments.py).
//
// The next one is started while this one still runs; its setup() ends at the moment at which this one's load ends. Around
// that seam VUs come and go, connections and tokens are new: what begins there is tagged `part:seam`, which no threshold
// and no percentile selects. It is counted all the same, since the target has carried it out.
import { sleep } from 'k6';
import exec from 'k6/execution';
import { LOAD, plan } from './config.js';

const segment = plan.segment;
const SEAM = 'seam';
const MS_PER_S = 1000;

/** To be called last in setup(): returns when the load may begin, that moment in ms. */
export function loadBegins() {
  if (segment !== null) {
    sleep(Math.max(0, (segment.starts_at_ms - Date.now()) / MS_PER_S));
  }
  return Date.now();
}

let part = LOAD.part;

/** To be called first in an iteration: tags it by where it begins. */
export const noteSeam =
  segment === null
    ? () => {}
    : () => {
        const now = Date.now();
        const here = now < segment.judged_from_ms || now >= segment.judged_until_ms ? SEAM : LOAD.part;
        if (here !== part) {
          part = here;
          exec.vu.metrics.tags.part = here;
        }
      };

let joined = segment === null || segment.number === 1;

/** A VU's first iteration in a later segment begins at any moment of a visit, as those before it are in any of theirs. */
export function joinIn(visitS, pause) {
  if (!joined) {
    joined = true;
    pause(Math.random() * visitS);
  }
}
