// C: more users than coupons, all at once (design 4.3 C, corrections 6): one user an iteration, each outcome counted.
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { requestParams, setupLogins } from '../lib/auth.js';
import { checkApiResponse, countWrong, expectStatuses, isDone, isThere, send, successAnd, valueAt } from '../lib/checks.js';
import { LOAD, commonOptions, plan, seconds, tokens, urlOf } from '../lib/config.js';
import { dialect } from '../lib/dialect.js';
import { FAILED, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

const load = plan.load;
const { coupon_sold_out: SOLD_OUT, coupon_duplicate: DUPLICATE, error_code: ERROR_CODE } = plan.responses;
const ROUTE = 'coupon_issue';
const COUPON = successAnd(dialect.paths.coupon);
const couponUrl = urlOf(ROUTE, plan.coupon_id);

const outcomes = {
  issued: new Counter('coupons_issued'),
  soldOut: new Counter('coupons_sold_out'),
  duplicate: new Counter('coupons_duplicate'),
  other: new Counter('coupons_other'),
};
// Sold out is a right answer here, not a failed request.
const refusals = SOLD_OUT.concat(DUPLICATE).map((answer) => answer.status);
expectStatuses(...refusals);

export const options = Object.assign({}, commonOptions, {
  batch: 10, // logins of setup() at a time
  batchPerHost: 10,
  scenarios: {
    coupon_spike: {
      executor: 'shared-iterations',
      vus: load.users,
      iterations: load.users,
      maxDuration: seconds(load.max_duration_s),
      tags: LOAD,
    },
  },
  thresholds: thresholds({
    // design 4.3 C says http_req_duration: here without the logins that 500 users need first
    [latency(ROUTE)]: ['p(99)<500'],
    [FAILED]: ['rate<0.5'], // design 4.3 C: http_req_failed
  }),
});

/** Tokens come with the plan; without them every user logs in here, outside of the thresholds. */
export function setup() {
  const own = tokens.length > 0 ? '' : setupLogins(load.users).join('\n'); // one string is cheap to hand to 500 VUs
  return { own, load_started_ms: Date.now() };
}

export default function ({ own }) {
  const user = exec.scenario.iterationInTest; // a VU may take two iterations, an iteration has one user
  const token = own === '' ? tokens[user] : own.split('\n')[user];
  const res = send(ROUTE, couponUrl, null, requestParams(token, ROUTE));
  outcomes[outcomeOf(res)].add(1);
}

function outcomeOf(res) {
  if (isDone(res)) {
    return checkApiResponse(res, ROUTE, COUPON, isThere) === undefined ? 'other' : 'issued';
  }
  const code = valueAt(res, ERROR_CODE);
  const outcome = isOneOf(SOLD_OUT, res, code) ? 'soldOut' : isOneOf(DUPLICATE, res, code) ? 'duplicate' : 'other';
  if (outcome === 'other' && refusals.includes(res.status)) {
    countWrong(ROUTE);
  }
  return outcome;
}

function isOneOf(answers, res, code) {
  return answers.some((answer) => answer.status === res.status && (answer.code === null || answer.code === code));
}
