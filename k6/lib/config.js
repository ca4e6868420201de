// The plan: everything a script knows. The runner (k6/runner.py) writes it, SUITE_PLAN names the file.
//
// One entry of a SharedArray is parsed once a VU; the tokens stand in an array of their own, so that 500 VUs do not
// each hold 500 of them.
import { SharedArray } from 'k6/data';

const PATH = __ENV.SUITE_PLAN;
if (!PATH) {
  throw new Error('SUITE_PLAN is not set: start this scenario with k6/run.sh, which writes the plan.');
}

const SUMMARY_STATS = ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)', 'p(99)', 'count'];

// What thresholds and results can select. k6's own `scenario` tag is left out: it would say `shopping_flow` on
// requests and nothing on k6_vus, where the runner's label `scenario` is on every series. `url` repeats `name`.
const SYSTEM_TAGS = ['name', 'method', 'status', 'expected_response', 'error_code'];

function read() {
  return JSON.parse(open(PATH));
}

/** The plan without its tokens; its fields are those of `Plan` in k6/plan.py. */
export const plan = new SharedArray('plan', () => [Object.assign(read(), { tokens: null })])[0];

// Each in a list of its own: k6 freezes what it hands out, a bare string character by character (25 us for a token).
const tokens = new SharedArray('tokens', () => read().tokens.map((token) => [token]));

/** Number of access tokens in the plan; 0 when setup() has to log the users in. */
export const tokenCount = tokens.length;

/** Access token of the pool's user `index`, counted from 0. */
export function tokenOf(index) {
  return tokens[index][0];
}

/**
 * Options that every scenario shares. A redirect is never followed: load goes where the profile says, and to the
 * addresses in `plan.network` only (k6/network.py). One of several generators has its segment of the load in
 * `plan.share`.
 */
export const commonOptions = {
  ...plan.share,
  ...plan.network,
  maxRedirects: 0,
  setupTimeout: `${plan.setup_timeout_s}s`,
  summaryTrendStats: SUMMARY_STATS,
  systemTags: SYSTEM_TAGS,
};

/** Tag of the scenario's own requests: setup() has none, so it counts into no threshold and no total. */
export const LOAD = { part: 'load' };

/** Seconds as k6 writes durations. */
export function seconds(number) {
  return `${number}s`;
}

/** Absolute URL of a route, with `id` in the place of `{id}`. */
export function urlOf(route, id = '') {
  const { base_url: base, path } = plan.routes[route];
  return base + path.replace('{id}', encodeURIComponent(id));
}

/** Absolute URL of page `number` (0 = the first) of a paged route; `query` is put in front. */
export function pageUrl(route, paging, number, query = '') {
  const page = `${paging.page_parameter}=${paging.first_page + number}`;
  return `${urlOf(route)}?${query}${page}&${paging.size_parameter}=${paging.size}`;
}
