// E: a crowd asks for one product just after it fell out of the cache (design 4.3 E, corrections 8). How often the origin
// was asked is for the target's own counter to say; the script makes the moment and measures the crowd.
import { Session, account } from '../lib/auth.js';
import { expectStatuses, successAnd } from '../lib/checks.js';
import { LOAD, commonOptions, plan, seconds, urlOf } from '../lib/config.js';
import { dialect } from '../lib/dialect.js';
import { question } from '../lib/question.js';
import { idsOnPage, nothingAt, setupLogin } from '../lib/setup.js';
import { FAILED, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

const HERD = 'thundering_herd';
const load = plan.load;
const products = plan.responses.products;
const PRODUCT = successAnd(dialect.paths.product);
expectStatuses();

export const options = Object.assign({}, commonOptions, {
  scenarios: {
    cache_warm: {
      executor: 'shared-iterations',
      vus: 1,
      iterations: 1,
      maxDuration: '10s',
      exec: 'warmCache',
      startTime: '0s',
      tags: { part: 'warm' },
    },
    thundering_herd: {
      executor: 'shared-iterations',
      vus: load.herd_vus,
      iterations: load.herd_vus,
      maxDuration: seconds(load.max_duration_s),
      exec: 'thunderingHerd',
      startTime: seconds(plan.herd_starts_s), // the target's TTL and a margin, not the design's fixed 15 s
      tags: LOAD,
    },
  },
  thresholds: thresholds({
    [latency(HERD)]: ['p(95)<500'], // design 4.3 E: http_req_duration{scenario:thundering_herd}
    [FAILED]: ['rate<0.001'], // the design bounds failures in A to D only; a herd of errors is not fast
  }),
});

export function setup() {
  const grant = setupLogin();
  const productId = plan.product_id || firstProduct(new Session(account, grant));
  return { grant, productId, load_started_ms: Date.now() + plan.herd_starts_s * 1000 };
}

function firstProduct(reader) {
  const ids = idsOnPage(reader, 'product_list', products, 0);
  return ids.length > 0 ? ids[0] : nothingAt('product_list', 'products');
}

let session = null;
const questions = {};

export function warmCache(data) {
  ask(data, 'cache_warm');
}

export function thunderingHerd(data) {
  ask(data, HERD);
}

function ask({ grant, productId }, name) {
  session = session || new Session(account, grant);
  const askIt = questions[name] || (questions[name] = questionOf(productId, name));
  askIt(session);
}

function questionOf(productId, name) {
  const isRight = (found) => String(found[1]) === String(productId);
  return question('product_detail', urlOf('product_detail', productId), PRODUCT, isRight, name);
}
