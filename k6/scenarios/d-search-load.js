// D: searching at a rising rate (design 4.3 D); the number of hits is checked. Open model: no sleep.
import { Session, account } from '../lib/auth.js';
import { expectStatuses, isThere, successAnd } from '../lib/checks.js';
import { LOAD, commonOptions, pageUrl, plan, seconds } from '../lib/config.js';
import { question } from '../lib/question.js';
import { fromIntended, rampingRate } from '../lib/schedule.js';
import { loadBegins, noteSeam } from '../lib/segment.js';
import { setupLogin } from '../lib/setup.js';
import { FAILED, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

// design 4.3 D: SEARCH_TERMS
const SEARCH_TERMS = ['노트북', '스마트폰', '이어폰', '키보드', '마우스', '모니터', '태블릿', '카메라', '프린터', '스피커'];

const load = plan.load;
const search = plan.responses.search;
// The catalogue's own words, where it has any: of each the number of hits is known, or that there are some (null).
const known = Object.keys(plan.search_words).length > 0;
const words = known ? plan.search_words : Object.fromEntries(SEARCH_TERMS.map((term) => [term, null]));
const FOUND = successAnd(search.total === null ? `${search.items}.#` : search.total);
const questions = Object.entries(words).map(([term, hits]) => {
  const url = pageUrl('product_search', search, 0, `${plan.responses.search_parameter}=${encodeURIComponent(term)}&`);
  return question('product_search', url, FOUND, rightNumber(hits));
});
const stages = [
  { duration_s: load.ramp_up_s, target_per_s: load.rate_per_s },
  { duration_s: load.steady_s, target_per_s: load.rate_per_s },
  { duration_s: load.ramp_down_s, target_per_s: 0 },
].filter(({ duration_s }) => duration_s > 0); // a segment may have no ramp
const noteLatency = fromIntended(rampingRate(load.start_rate_per_s, stages), load.rate_per_s * load.steady_s);
expectStatuses();

export const options = Object.assign({}, commonOptions, {
  scenarios: {
    search_load: {
      executor: 'ramping-arrival-rate',
      startRate: load.start_rate_per_s,
      timeUnit: '1s',
      stages: stages.map(({ duration_s, target_per_s }) => ({ duration: seconds(duration_s), target: target_per_s })),
      preAllocatedVUs: load.pre_allocated_vus,
      maxVUs: load.max_vus,
      tags: LOAD,
    },
  },
  thresholds: thresholds({
    [latency()]: ['p(95)<100'], // design 4.3 D: http_req_duration
    [FAILED]: ['rate<0.01'], // design 4.3 D: http_req_failed
  }),
});

export function setup() {
  return { grant: setupLogin(), load_started_ms: loadBegins() };
}

let session = null;

export default function ({ grant }) {
  noteSeam();
  session = session || new Session(account, grant);
  if (session.ready()) {
    questions[Math.floor(Math.random() * questions.length)](session);
  }
  noteLatency();
}

function rightNumber(hits) {
  if (!known) {
    return (found) => isThere(found[1]);
  }
  return hits === null || search.total === null ? (found) => found[1] > 0 : (found) => found[1] === hits;
}
