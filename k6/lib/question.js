// What a scenario asks of the target: one address each, and what its answer must say.
//
// Each is one function with variables of its own: a field of an object costs k6 ten times what a variable does, a
// function of another module as much.
import http from 'k6/http';
import { countStatus, methods, rightFields } from './checks.js';

const OK = 200;
// A body that is new each time is not worth keeping: after so many in a row they are read as bytes.
const CHANGES_AT_MOST = 5;

/**
 * A function that reads again and again, in a session: the fields that were found (as `rightFields`), or undefined when
 * the answer cannot be used.
 *
 * An answer that is byte for byte the one that was found right before is right: a comparison says as much as parsing it
 * again, at a tenth of the cost. Any other is parsed.
 */
export function question(route, url, fields, isRight, name = route) {
  const method = methods[route];
  const request = http.request;
  let grant = null;
  let params = null;
  let keeps = true;
  let kept;
  let fieldsKept;
  let changes = 0;
  const keep = (body, found) => {
    changes += 1;
    kept = body;
    fieldsKept = found;
    if (changes === CHANGES_AT_MOST) {
      keeps = false;
      grant = null; // other parameters
    }
  };
  return (session) => {
    if (grant !== session.grant) {
      params = keeps ? session.params(name) : session.paramsForBytes(name);
      grant = session.grant;
    }
    const res = request(method, url, null, params);
    const status = res.status;
    if (status !== OK) {
      countStatus(status);
    } else if (keeps && res.body === kept) {
      changes = 0;
      return fieldsKept;
    }
    const found = rightFields(res, status, name, fields, isRight);
    if (keeps && status === OK && found !== undefined) {
      keep(res.body, found);
    }
    return found;
  };
}

/** A function that sends `body` (JSON text) in a session: as `question`, but each answer is another. */
export function command(route, url, fields, isRight) {
  const method = methods[route];
  const request = http.request;
  let grant = null;
  let params = null;
  return (session, body, expected) => {
    if (grant !== session.grant) {
      params = session.params(route, body !== null);
      grant = session.grant;
    }
    const res = request(method, url, body, params);
    const status = res.status;
    if (status !== OK) {
      countStatus(status);
    }
    return rightFields(res, status, route, fields, isRight, expected);
  };
}
