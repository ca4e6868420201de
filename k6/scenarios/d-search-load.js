// D: searching at a rising rate (design 4.3 D); the number of hits is checked. Open model: no sleep.
import { Session, account, setupLogin } from '../lib/auth.js';
import { checkApiResponse, expectStatuses, isThere, successAnd } from '../lib/checks.js';
import { LOAD, commonOptions, pageUrl, plan, seconds } from '../lib/config.js';
import { FAILED, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

// design 4.3 D: SEARCH_TERMS
const SEARCH_TERMS = ['노트북', '스마트폰', '이어폰', '키보드', '마우스', '모니터', '태블릿', '카메라', '프린터', '스피커'];

const load = plan.load;
const search = plan.responses.search;
// The catalogue's own words with their known number of hits, where the target has them.
const known = Object.entries(plan.search_words);
const words = (known.length > 0 ? known : SEARCH_TERMS.map((term) => [term, null])).map(([term, hits]) => ({
  url: pageUrl('product_search', search, 0, `${plan.responses.search_parameter}=${encodeURIComponent(term)}&`),
  isRight: hits === null || search.total === null ? isThere : (found) => found === hits,
}));
const FOUND = successAnd(search.total === null ? `${search.items}.#` : search.total);
expectStatuses();

export const options = Object.assign({}, commonOptions, {
  scenarios: {
    search_load: {
      executor: 'ramping-arrival-rate',
      startRate: load.start_rate_per_s,
      timeUnit: '1s',
      stages: [
        { duration: seconds(load.ramp_up_s), target: load.rate_per_s },
        { duration: seconds(load.steady_s), target: load.rate_per_s },
        { duration: seconds(load.ramp_down_s), target: 0 },
      ],
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
  return { grant: setupLogin(), load_started_ms: Date.now() };
}

let session = null;

export default function ({ grant }) {
  session = session || new Session(account, grant);
  if (!session.ready()) {
    return;
  }
  const word = words[Math.floor(Math.random() * words.length)];
  const res = session.call('product_search', word.url);
  checkApiResponse(res, 'product_search', FOUND, word.isRight);
}
