// Names of the metrics that thresholds select, and the submetrics that the result is read from.
//
// Latency is that of expected answers: a refusal (429) or an error is no fast answer (corrections 20). What is left out
// there is bounded by `http_req_failed`, so every scenario has both.

/** Latency of the load's expected answers, of one request name or of all. */
export function latency(name) {
  return name
    ? `http_req_duration{expected_response:true,name:${name}}`
    : 'http_req_duration{expected_response:true,part:load}';
}

/** Share of the load's requests that were not answered as expected. */
export const FAILED = 'http_req_failed{part:load}';

// k6 keeps only those submetrics that its options name; an empty list judges nothing.
const COUNTED = [latency(), FAILED, 'http_reqs{part:load}', 'iterations{part:load}', 'iteration_duration{part:load}'];

/** Requests of one status, where that is no exception; lib/summary.js adds them to those that checks.js counts. */
export function countedByStatus(status) {
  return `http_reqs{part:load,status:${status}}`;
}

/** A scenario's thresholds, and what its result needs besides. */
export function thresholds(own) {
  return Object.assign(Object.fromEntries(COUNTED.map((metric) => [metric, []])), own);
}
