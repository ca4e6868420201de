// What setup() does before the load: it signs in, reads what there is, and stops at once when the load would be for
// nothing, in one sentence with the cure. Its requests are no load: they have no tag `part`.
import http from 'k6/http';
import { sleep } from 'k6';
import { SIGNS_IN, account, grantOf, loginRequest, mintedGrant, poolUser } from './auth.js';
import { isDone, send, valueAt } from './checks.js';
import { pageUrl, plan, urlOf } from './config.js';

// platform.md 12: more than 10 logins at a time are no faster (BCrypt), and the platform's limiter allows 20 a second.
const LOGINS_A_STEP = 20;
// Seconds in a row in which the limiter lets nobody in: then it is no limiter of 20 a second.
const PATIENCE_S = 10;

const TOO_MANY_REQUESTS = 429;
const SAID_AT_MOST = 300;

/** Ends the run before its load. */
export function stop(what, cure) {
  throw new Error(`setup: ${what}. ${cure}`);
}

/** Signs the design's test account in. */
export function setupLogin() {
  if (!SIGNS_IN) {
    return mintedGrant(account);
  }
  const [method, url, body, params] = loginRequest(account, 'setup_login');
  const res = http.request(method, url, body, params);
  return grantOf(res) || refuse(account, res);
}

/** Tokens of the pool's users 1 to `count`; who meets the target's limiter (429) is asked again a second later. */
export function setupLogins(count) {
  if (!SIGNS_IN) {
    return Array.from({ length: count }, (_, index) => mintedGrant(poolUser(index + 1)).token);
  }
  const found = [];
  let waiting = Array.from({ length: count }, (_, index) => index);
  let inVain = 0;
  while (waiting.length > 0) {
    const step = waiting.slice(0, LOGINS_A_STEP);
    const answers = http.batch(step.map((index) => loginRequest(poolUser(index + 1), 'setup_login')));
    const refused = step.filter((index, place) => !keep(found, index, answers[place]));
    inVain = refused.length === step.length ? inVain + 1 : 0;
    if (inVain === PATIENCE_S) {
      refuse(poolUser(step[0] + 1), answers[0]);
    }
    waiting = refused.concat(waiting.slice(LOGINS_A_STEP));
    if (refused.length > 0) {
      sleep(1);
    }
  }
  return found;
}

/** False when the limiter refused; stops when the target did. */
function keep(found, index, res) {
  if (res.status === TOO_MANY_REQUESTS) {
    return false;
  }
  const grant = grantOf(res) || refuse(poolUser(index + 1), res);
  found[index] = grant.token;
  return true;
}

/** The ids that page `number` of a list names, in their order; stops when there is no such list. */
export function idsOnPage(session, route, paging, number) {
  const res = send(route, pageUrl(route, paging, number), null, session.params(`setup_${route}`));
  const ids = isDone(res) ? valueAt(res, `${paging.items}.#.${paging.id}`) : undefined;
  if (ids === undefined) {
    stop(said(res), cureOf(res, `no list at '${paging.items}'`));
  }
  return ids;
}

/** Stops because a list that the load needs is empty. */
export function nothingAt(route, things) {
  const cure = 'First seed the target: `python -m flows.full_suite` does it where the profile allows.';
  stop(`${urlOf(route)} lists no ${things}`, cure);
}

function refuse(user, res) {
  const { token, token_lifetime_s: lifetime } = plan.responses;
  stop(`login of ${user.email} at ${said(res)}`, cureOf(res, `no token at '${token}' or no lifetime at '${lifetime}'`));
}

/** What an answer was: address, status and the beginning of its body, or why there was none. */
function said(res) {
  const answer = res.status === 0 ? `gave no answer: ${res.error}` : `answered ${res.status} ${res.body || ''}`;
  return `${res.request.url} ${answer}`.replace(/\s+/g, ' ').trim().slice(0, SAID_AT_MOST);
}

function cureOf(res, missing) {
  if (res.status === 0) {
    return 'Start the target, or mend its address in the profile.';
  }
  if (isDone(res)) {
    return `The body has ${missing}: see what answers at this address, or mend the profile's \`responses\`.`;
  }
  if (res.status === TOO_MANY_REQUESTS) {
    return 'Its limiter or its login lock refuses: wait until it lets go, or raise the limit for the test.';
  }
  if (res.status >= 500) {
    return 'The target is ill: see its log, and whether what is behind it runs.';
  }
  return "Seed the target, or mend the profile's `users` and `routes`.";
}
