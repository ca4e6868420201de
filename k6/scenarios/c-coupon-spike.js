// C: more users than coupons, all at once (design 4.3 C, corrections 6): one user an iteration, each outcome counted.
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { requestParams } from '../lib/auth.js';
import { countStatus, countWrong, expectStatuses, isThere, methods, rightFields, successAnd } from '../lib/checks.js';
import { LOAD, commonOptions, plan, seconds, tokenCount, tokenOf, urlOf } from '../lib/config.js';
import { dialect } from '../lib/dialect.js';
import { setupLogins } from '../lib/setup.js';
import { FAILED, countedByStatus, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

const load = plan.load;
const { coupon_sold_out: SOLD_OUT, coupon_duplicate: DUPLICATE, error_code: ERROR_CODE } = plan.responses;
// k6 tells its VUs once a second, and the burst may last less than one: so it begins when k6 has been seen.
const BEGINS_AFTER_S = 1;
const ROUTE = 'coupon_issue';
const TAGS = { name: ROUTE };
const ISSUED = successAnd(dialect.paths.issued);
const couponUrl = urlOf(ROUTE, plan.coupon_id);
const METHOD = methods[ROUTE];
const request = http.request;

const outcomes = {
  issued: new Counter('coupons_issued'),
  soldOut: new Counter('coupons_sold_out'),
  duplicate: new Counter('coupons_duplicate'),
  other: new Counter('coupons_other'),
};
// Sold out is a right answer here, not a failed request. A refusal is known by its status, and by its code where the
// target tells more with it.
const refusals = new Map([...DUPLICATE.map(named('duplicate')), ...SOLD_OUT.map(named('soldOut'))]);
const refused = [...SOLD_OUT, ...DUPLICATE].map(({ status }) => status);
expectStatuses(...refused);

function named(outcome) {
  return ({ status, code }) => [code === null ? status : `${status} ${code}`, outcome];
}

export const options = Object.assign({}, commonOptions, {
  batch: 10, // logins of setup() at a time
  batchPerHost: 10,
  scenarios: {
    coupon_spike: {
      executor: 'shared-iterations',
      vus: load.users,
      iterations: load.users,
      startTime: seconds(BEGINS_AFTER_S),
      maxDuration: seconds(load.max_duration_s),
      tags: LOAD,
    },
  },
  thresholds: thresholds({
    ...Object.fromEntries(refused.map((status) => [countedByStatus(status), []])),
    // design 4.3 C says http_req_duration: here without the logins that 500 users need first
    [latency(ROUTE)]: ['p(99)<500'],
    [FAILED]: ['rate<0.5'], // design 4.3 C: http_req_failed
  }),
});

/** Tokens come with the plan; without them every user logs in here, outside of the thresholds. */
export function setup() {
  const own = tokenCount > 0 ? '' : setupLogins(load.users).join('\n'); // one string is cheap to hand to 500 VUs
  return { own, load_started_ms: Date.now() + BEGINS_AFTER_S * 1000 };
}

let scenario = null; // `exec.scenario` makes a new object whenever it is read

export default function ({ own }) {
  scenario = scenario || exec.scenario;
  const user = scenario.iterationInTest; // a VU may take two iterations, an iteration has one user
  const token = own === '' ? tokenOf(user) : own.split('\n')[user];
  const res = request(METHOD, couponUrl, null, requestParams(token, TAGS));
  const status = res.status; // reading a field of an answer crosses from Go: once is enough
  countStatus(status);
  outcomes[status >= 200 && status < 300 ? grantedOf(res, status) : refusalOf(res, status)].add(1);
}

/** Each coupon that a user was told of leaves a receipt in the log, for the ledger to look for its row. */
function grantedOf(res, status) {
  const coupon = rightFields(res, status, ROUTE, ISSUED, hasId);
  if (coupon === undefined) {
    return 'other';
  }
  console.info(`receipt ${coupon[1]}`);
  return 'issued';
}

function hasId(found) {
  return isThere(found[1]);
}

function refusalOf(res, status) {
  const code = status === 0 ? '' : res.json(ERROR_CODE);
  const outcome = refusals.get(`${status} ${code}`) || refusals.get(status) || 'other';
  if (outcome === 'other' && refused.includes(status)) {
    countWrong(ROUTE);
  }
  return outcome;
}
