// Signing in: the design's one account for reading, and a user of the pool for all that belongs to a user.
import http from 'k6/http';
import { sleep } from 'k6';
import { plan, urlOf } from './config.js';
import { isDone, send, valueAt } from './checks.js';

// A token is renewed at a random 80 to 95 % of its lifetime, so that VUs do not all log in at the same moment.
const RENEW_FROM = 0.8;
const RENEW_SPREAD = 0.15;
// platform.md 12: more than 10 logins at a time are no faster (BCrypt), and the platform's limiter allows 20 a second.
const LOGINS_A_STEP = 20;

const TOO_MANY_REQUESTS = 429;
const JSON_BODY = { 'Content-Type': 'application/json' };

/** The design's test account. */
export const account = { email: plan.users.email, password: plan.users.password };

/** User `number` of the pool, counted from 1; numbers beyond the pool begin again. */
export function poolUser(number) {
  const { prefix, digits, domain, count, password } = plan.users.pool;
  const digitsOf = String(((number - 1) % count) + 1).padStart(digits, '0');
  return { email: `${prefix}${digitsOf}@${domain}`, password };
}

/** Logs in as part of the load: `{token, renew_at}` (milliseconds since 1970), or null when refused. */
export function login(user) {
  const [, url, body, params] = loginRequest(user, 'login');
  return grantOf(send('login', url, body, params));
}

/** The login that setup() makes; its failure ends the run with the target's own words. */
export function setupLogin(user = account) {
  const [method, url, body, params] = loginRequest(user, 'setup_login');
  const res = http.request(method, url, body, params);
  return grantOf(res) || refuse(user, res);
}

/** Tokens of the pool's users 1 to `count`; who meets the target's limiter (429) is asked again a second later. */
export function setupLogins(count) {
  const found = [];
  let waiting = Array.from({ length: count }, (_, index) => index);
  while (waiting.length > 0) {
    const step = waiting.slice(0, LOGINS_A_STEP);
    const answers = http.batch(step.map((index) => loginRequest(poolUser(index + 1), 'setup_login')));
    const refused = step.filter((index, place) => !keep(found, index, answers[place]));
    waiting = refused.concat(waiting.slice(LOGINS_A_STEP));
    if (refused.length > 0) {
      sleep(1);
    }
  }
  return found;
}

/** False when the limiter refused; throws when the target did. */
function keep(found, index, res) {
  if (res.status === TOO_MANY_REQUESTS) {
    return false;
  }
  const grant = grantOf(res) || refuse(poolUser(index + 1), res);
  found[index] = grant.token;
  return true;
}

function loginRequest(user, name) {
  const params = { headers: JSON_BODY, tags: { name } };
  return [plan.routes.login.method, urlOf('login'), JSON.stringify(user), params];
}

function grantOf(res) {
  const token = isDone(res) ? valueAt(res, plan.responses.token) : undefined;
  if (!token) {
    return null;
  }
  const lifetimeMs = valueAt(res, plan.responses.token_lifetime_s) * 1000;
  return { token, renew_at: Date.now() + lifetimeMs * (RENEW_FROM + RENEW_SPREAD * Math.random()) };
}

function refuse(user, res) {
  throw new Error(`setup: login of ${user.email} at ${said(res)}`);
}

/** What an answer was, for a person: address, status and the beginning of its body, or why there was none. */
export function said(res) {
  const answer = res.status === 0 ? `gave no answer: ${res.error}` : `answered ${res.status} ${textOf(res.body)}`;
  return `${res.request.url} ${answer}`.slice(0, 300);
}

function textOf(body) {
  return body instanceof ArrayBuffer ? String.fromCharCode(...new Uint8Array(body.slice(0, 200))) : body || '';
}

/** One signed-in user of one VU: renews its token, and sends the plan's requests with it. */
export class Session {
  constructor(user, grant = null) {
    this.user = user;
    this.grant = grant;
    this.forget();
  }

  /** Parameters hold the token: they are made once for each. */
  forget() {
    this.plain = {};
    this.bytes = {};
    this.json = {};
  }

  /** Logs in when there is no token or it is about to end; false when the target refuses. */
  ready() {
    if (this.grant === null || Date.now() >= this.grant.renew_at) {
      this.grant = login(this.user);
      this.forget();
    }
    return this.grant !== null;
  }

  /** Parameters of a request tagged with `name`. */
  params(name) {
    return this.plain[name] || (this.plain[name] = requestParams(this.grant.token, { name }));
  }

  /** The same, with the answer kept as bytes: to parse a large body they are cheaper than text. */
  paramsForBytes(name) {
    return this.bytes[name] || (this.bytes[name] = Object.assign({ responseType: 'binary' }, this.params(name)));
  }

  /** Sends one request of `route`, tagged with its name; `body` is JSON text. */
  post(route, url, body = null) {
    return send(route, url, body, body === null ? this.params(route) : this.paramsWithBody(route));
  }

  /** Reads a page in setup(). */
  read(route, url) {
    return send(route, url, null, this.params(`setup_${route}`));
  }

  paramsWithBody(name) {
    return this.json[name] || (this.json[name] = requestParams(this.grant.token, { name }, JSON_BODY));
  }
}

/** Parameters of a signed-in request. */
export function requestParams(token, tags, headers = {}) {
  return { headers: Object.assign({ Authorization: `Bearer ${token}` }, headers), tags };
}
