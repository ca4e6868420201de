// Access tokens that the suite signs itself: HS256 with the key that the target checks with (profile, `users.tokens`).
import crypto from 'k6/crypto';
import encoding from 'k6/encoding';
import { plan } from './config.js';
import { dialect } from './dialect.js';

const { key: KEY, key_id: KEY_ID, lifetime_s: LIFETIME_S, id_prefix: ID_PREFIX } = plan.users.tokens;
const HEADER = part({ alg: 'HS256', typ: 'JWT', kid: KEY_ID });

/** A token for user `number`, good from now on for the profile's lifetime. */
export function minted(number) {
  const now = Math.floor(Date.now() / 1000);
  const id = ID_PREFIX + String(number).padStart(12, '0');
  const claims = Object.assign({ sub: id, iat: now, exp: now + LIFETIME_S }, dialect.claims(number));
  const signed = `${HEADER}.${part(claims)}`;
  return `${signed}.${crypto.hmac('sha256', KEY, signed, 'base64rawurl')}`;
}

function part(content) {
  return encoding.b64encode(JSON.stringify(content), 'rawurl');
}
