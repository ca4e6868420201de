// A question that is asked again and again: one address, and what its answer must say.
import http from 'k6/http';
import { checkApiResponse, countStatus, methods } from './checks.js';

const OK = 200;
// A body that is new each time is not worth keeping: after so many in a row they are read as bytes.
const CHANGES_AT_MOST = 5;

/**
 * A function that asks in a session: the value that `fields` names, or undefined when the answer cannot be used.
 * `fields` and `isRight` as for `checkApiResponse`.
 *
 * An answer that is byte for byte the one that was found right before is right: a comparison says as much as parsing it
 * again, at a tenth of the cost. Any other is parsed. One function with its own variables, because each field of an
 * object and each function of another module costs k6 ten times what a variable does.
 */
export function question(route, url, fields, isRight, name = route) {
  const method = methods[route];
  const request = http.request;
  let kept;
  let value;
  let changes = 0;
  return (session) => {
    const keeps = changes < CHANGES_AT_MOST;
    const res = request(method, url, null, keeps ? session.params(name) : session.paramsForBytes(name));
    const status = res.status;
    if (status !== OK) {
      countStatus(status);
    } else if (keeps && res.body === kept) {
      changes = 0;
      return value;
    }
    const found = checkApiResponse(res, name, fields, isRight);
    if (keeps && status === OK && found !== undefined) {
      changes += 1;
      kept = res.body;
      value = found;
    }
    return found;
  };
}
