// Who a request says it comes from: the user, and where the profile wants one limiter bucket a VU, an address of its own.
import exec from 'k6/execution';
import encoding from 'k6/encoding';
import { plan } from './config.js';

const { way: WAY, header: ADDRESS_HEADER, user_header: USER_HEADER, headers: VOUCHED } = plan.limiter;
// A private network of the suite's own making; nothing is ever sent there.
const NETWORK = '10.77';

let ownAddress = null; // of this VU: reading `exec.vu` makes a new object each time

/** Header with the address that VU `number` names; without a number, this VU's. Empty where none is to be named. */
export function sender(number = null) {
  if (WAY !== 'x-real-ip') {
    return {};
  }
  ownAddress = ownAddress || addressOf(exec.vu.idInTest);
  // In setup(), which is VU 0, each user stands for a VU to come: a login lock and a bucket for each of them.
  return { [ADDRESS_HEADER]: exec.vu.idInTest === 0 && number !== null ? addressOf(number) : ownAddress };
}

function addressOf(number) {
  return `${NETWORK}.${(number >> 8) & 255}.${number & 255}`;
}

/** Headers of a signed-in request: the token; directly at a service, what the gateway makes of it. */
export function identity(token) {
  if (WAY === 'direct') {
    return Object.assign({ [USER_HEADER]: subjectOf(token) }, VOUCHED);
  }
  return Object.assign({ Authorization: `Bearer ${token}` }, sender());
}

/** The user whom an access token (JWT) speaks for. */
export function subjectOf(token) {
  return JSON.parse(encoding.b64decode(token.split('.')[1], 'rawurl', 's')).sub;
}
