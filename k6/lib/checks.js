// Sending the load's requests and checking their answers, at a cost that leaves the generator out of the measurement.
//
// What is normal costs nothing: a counter moves only for a status other than 200 and for a body that is not right.
// Every body is looked at: the fields that matter are read from its bytes in one pass (`res.json(path)` runs natively
// and refuses what is no JSON), or it is compared with one that was right (lib/question.js). The design's three checks,
// each of which parses the body, halve what k6 can send (programs.md, yardsticks).
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { plan } from './config.js';

// Statuses that the result tells apart; any other is "other". 429 is an outcome of its own (corrections 20).
const STATUSES = [0, 201, 204, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 504];

const answers = Object.fromEntries(STATUSES.map((status) => [status, new Counter(`answers_${status}`)]));
const otherAnswers = new Counter('answers_other');
const wrongAnswers = new Counter('wrong_answers');

/** Statuses that k6 counts itself, because they are no exception: see `countedByStatus` in lib/thresholds.js. */
const countedByK6 = new Set([200]);

/** Method of each route. */
export const methods = Object.fromEntries(Object.entries(plan.routes).map(([route, { method }]) => [route, method]));

/** Statuses that are no failed request: "done", and those that the scenario declares besides. */
export function expectStatuses(...besides) {
  http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, ...besides));
  besides.forEach((status) => countedByK6.add(status));
}

/** Sends one request of the load. */
export function send(route, url, body, params) {
  const res = http.request(methods[route], url, body, params);
  countStatus(res.status);
  return res;
}

/** Counts an answer by its status, unless k6 does. */
export function countStatus(status) {
  if (!countedByK6.has(status)) {
    (answers[status] || otherAnswers).add(1);
  }
}

/** True for the statuses that mean "done". */
export function isDone(res) {
  const status = res.status; // reading a field of an answer crosses from Go: once is enough
  return status >= 200 && status < 300;
}

/** The value at `path` of the answer's body; undefined when it is not there or the body is no JSON. */
export function valueAt(res, path) {
  return res.status === 0 ? undefined : res.json(path);
}

/** For `rightFields`: the success mark and the values at `paths`, in one reading. */
export function successAnd(...paths) {
  return `[${[plan.responses.success, ...paths].join()}]`;
}

/**
 * Checks the body of an answer that is done: success, and `isRight(fields, expected)`, where fields[1] is what the first
 * path of `successAnd` names, fields[2] the second. What is not there leaves no place: the others move up.
 * Returns the fields, or undefined when the answer cannot be used. Other statuses are k6's http_req_failed.
 */
export function rightFields(res, status, name, fields, isRight, expected) {
  if (status < 200 || status >= 300) {
    return undefined;
  }
  const found = res.json(fields); // undefined when the body is no JSON
  if (found && found[0] === true && isRight(found, expected)) {
    return found;
  }
  countWrong(name);
  return undefined;
}

/** Counts an answer whose body is not what its status says. */
export function countWrong(name) {
  wrongAnswers.add(1, { name });
}

export function isThere(value) {
  return value !== undefined && value !== null;
}
