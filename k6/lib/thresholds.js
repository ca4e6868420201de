// Names of the metrics that thresholds select, and the submetrics that the result is read from.
//
// Latency is that of expected answers: a refusal (429) or an error is no fast answer (corrections 20). What is left out
// there is bounded by `http_req_failed`, so every scenario has both.
import { plan } from './config.js';

// What setup() sends has other names, so a name is enough; but for a segment, whose seams are left out.
const JUDGED = plan.segment === null ? '' : ',part:load';

/** Latency of the load's expected answers, of one request name or of all. */
export function latency(name) {
  return name
    ? `http_req_duration{expected_response:true,name:${name}${JUDGED}}`
    : 'http_req_duration{expected_response:true,part:load}';
}

/** Share of the load's requests that were not answered as expected. */
export const FAILED = 'http_req_failed{part:load}';

/** Where the limiter itself is measured, its refusals: an outcome of their own, and no failure. */
export const REFUSED = plan.limiter.way === 'measure' ? 'answers_429{part:load}' : null;

/** The threshold on FAILED where k6 cannot judge it: it cannot leave refusals out of its figure. */
export const withoutRefusals = [];

// k6 keeps only those submetrics that its options name; an empty list judges nothing.
const COUNTED = [
  latency(),
  FAILED,
  'http_reqs{part:load}',
  'iterations{part:load}',
  'iteration_duration{part:load}',
  ...(plan.segment === null ? [] : ['http_reqs{part:seam}', 'iterations{part:seam}']),
];

/** Requests of one status, where that is no exception; lib/summary.js adds them to those that checks.js counts. */
export function countedByStatus(status) {
  return `http_reqs{part:load,status:${status}}`;
}

/**
 * A scenario's thresholds, and what its result needs besides. Where the limiter is measured, the one on failed requests
 * is for lib/summary.js to judge, on what is left without refusals.
 */
export function thresholds(own) {
  const counted = Object.fromEntries(COUNTED.map((metric) => [metric, []]));
  if (REFUSED === null) {
    return Object.assign(counted, own);
  }
  withoutRefusals.push(...own[FAILED]);
  return Object.assign(counted, own, { [FAILED]: [], [REFUSED]: [] });
}
