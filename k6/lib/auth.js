// Signing in: the design's one account for reading, and a user of the pool for all that belongs to a user.
import { plan, urlOf } from './config.js';
import { countWrong, isDone, send, valueAt } from './checks.js';
import { identity, sender } from './identity.js';
import { minted } from './mint.js';

// A token is renewed at a random 80 to 95 % of its lifetime, so that VUs do not all log in at the same moment.
const RENEW_FROM = 0.8;
const RENEW_SPREAD = 0.15;
const JSON_BODY = { 'Content-Type': 'application/json' };
const WAY = plan.users.tokens.way;

/** Whether users sign in at the target; where tokens are minted nobody does. */
export const SIGNS_IN = WAY !== 'mint';

/** The design's test account. */
export const account = { number: 0, email: plan.users.email, password: plan.users.password };

/** User `number` of the pool, counted from 1. */
export function poolUser(number) {
  const { prefix, digits, domain, password } = plan.users.pool;
  return { number, email: `${prefix}${String(number).padStart(digits, '0')}@${domain}`, password };
}

/** Logs in as part of the load: `{token, renew_at, refresh}` (milliseconds since 1970), or null when refused. */
export function login(user) {
  const [, url, body, params] = loginRequest(user, 'login');
  const res = send('login', url, body, params);
  const grant = grantOf(res);
  if (grant === null && isDone(res)) {
    countWrong('login');
  }
  return grant;
}

/** A login as `http.batch` takes it: method, address, body, parameters. */
export function loginRequest({ number, email, password }, name) {
  const params = { headers: Object.assign({}, JSON_BODY, sender(number)), tags: { name } };
  return [plan.routes.login.method, urlOf('login'), JSON.stringify({ email, password }), params];
}

/** What a login was answered: `{token, renew_at, refresh}`, or null when there is no token with its lifetime in it. */
export function grantOf(res) {
  const token = isDone(res) ? valueAt(res, plan.responses.token) : undefined;
  const lifetimeMs = token ? valueAt(res, plan.responses.token_lifetime_s) * 1000 : 0;
  if (!(lifetimeMs > 0)) {
    return null;
  }
  const refresh = plan.responses.refresh_token ? valueAt(res, plan.responses.refresh_token) : null;
  return granted(token, lifetimeMs, refresh);
}

function granted(token, lifetimeMs, refresh = null) {
  return { token, refresh, renew_at: Date.now() + lifetimeMs * (RENEW_FROM + RENEW_SPREAD * Math.random()) };
}

/** A token that the suite signs itself, for a user who need not exist. */
export function mintedGrant(user) {
  return granted(minted(user.number), plan.users.tokens.lifetime_s * 1000);
}

/** The next grant of a user whose `last` one ends (null: the first), by the way that the profile chose. */
function nextGrant(user, last) {
  if (WAY === 'mint') {
    return mintedGrant(user);
  }
  return (WAY === 'refresh' && last !== null && refreshed(last)) || login(user);
}

/** The grant for a refresh token, which is good once; null when the target refuses it. */
function refreshed({ refresh }) {
  const params = { headers: Object.assign({}, JSON_BODY, sender(null)), tags: { name: 'refresh' } };
  return grantOf(send('refresh', urlOf('refresh'), JSON.stringify({ refreshToken: refresh }), params));
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

  /** Gets a token when there is none or it is about to end; false when the target refuses. */
  ready() {
    if (this.grant === null || Date.now() >= this.grant.renew_at) {
      this.grant = nextGrant(this.user, this.grant);
      this.forget();
    }
    return this.grant !== null;
  }

  /** Parameters of a request tagged with `name`. */
  params(name, hasBody = false) {
    const made = hasBody ? this.json : this.plain;
    return made[name] || (made[name] = requestParams(this.grant.token, { name }, hasBody ? JSON_BODY : null));
  }

  /** The same, with the answer kept as bytes: to parse a large body they are cheaper than text. */
  paramsForBytes(name) {
    return this.bytes[name] || (this.bytes[name] = Object.assign({ responseType: 'binary' }, this.params(name)));
  }
}

/** Parameters of a signed-in request. */
export function requestParams(token, tags, moreHeaders = null) {
  const headers = identity(token);
  return { headers: moreHeaders === null ? headers : Object.assign(headers, moreHeaders), tags };
}
