// A: shopping from the list to the order, every VU a customer of its own with the think times of the design (4.3 A).
import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { Session, poolUser, setupLogin } from '../lib/auth.js';
import { checkApiResponse, expectStatuses, isThere, successAnd } from '../lib/checks.js';
import { LOAD, commonOptions, pageUrl, plan, seconds, urlOf } from '../lib/config.js';
import { dialect } from '../lib/dialect.js';
import { FAILED, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

const load = plan.load;
const products = plan.responses.products;
const PRODUCT_IDS = successAnd(`${products.items}.#.${products.id}`);
const PRODUCT = successAnd(dialect.paths.product);
const CART = successAnd(dialect.paths.cart);
const ORDER = successAnd(dialect.paths.order);
// Orders write: only where the target says that its data may be written (design 4.3 A, corrections 4).
const ORDERS = plan.data_may_be_written;

const ordersCreated = new Counter('orders_created');
const listUrl = pageUrl('product_list', products, 0);
expectStatuses();

export const options = Object.assign({}, commonOptions, {
  scenarios: {
    shopping_flow: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: [
        { duration: seconds(load.ramp_up_s), target: load.vus },
        { duration: seconds(load.steady_s), target: load.vus },
        { duration: seconds(load.ramp_down_s), target: 0 },
      ],
      tags: LOAD,
    },
  },
  thresholds: thresholds(
    Object.assign(
      {
        [latency()]: ['p(95)<200', 'p(99)<500'], // design 4.3 A: http_req_duration
        [FAILED]: ['rate<0.001'], // design 4.3 A: http_req_failed
        [latency('login')]: ['p(95)<150'], // design 4.3 A: {name:login}
        [latency('product_list')]: ['p(95)<100'], // design 4.3 A: {name:product_list}
        [latency('product_detail')]: ['p(95)<80'], // design 4.3 A: {name:product_detail}
        [latency('add_to_cart')]: ['p(95)<120'], // design 4.3 A: {name:add_to_cart}
      },
      ORDERS ? { [latency('create_order')]: ['p(95)<300'] } : {}, // design 4.3 A: {name:create_order}
    ),
  ),
});

export function setup() {
  setupLogin(); // a target that is down or refuses its test account is said once, before 100 VUs find out
  return { load_started_ms: Date.now() };
}

let session = null;

export default function () {
  session = session || new Session(poolUser(exec.vu.idInTest));
  const productId = session.ready() ? pickProduct() : undefined;
  sleep(1);
  if (productId === undefined) {
    return;
  }
  showProduct(productId);
  sleep(0.5);
  const inCart = addToCart(productId);
  sleep(0.5);
  if (ORDERS && inCart) {
    orderCart();
  }
  sleep(1);
}

/** A product of the first page as the target lists it, or undefined. */
function pickProduct() {
  const res = session.call('product_list', listUrl);
  const ids = checkApiResponse(res, 'product_list', PRODUCT_IDS, (found) => isThere(found) && found.length > 0);
  return ids && ids[Math.floor(Math.random() * ids.length)];
}

function showProduct(productId) {
  const res = session.call('product_detail', urlOf('product_detail', productId));
  checkApiResponse(res, 'product_detail', PRODUCT, (id) => String(id) === String(productId));
}

function addToCart(productId) {
  const res = session.call('add_to_cart', urlOf('add_to_cart'), dialect.cartItem(productId));
  return checkApiResponse(res, 'add_to_cart', CART, isThere) !== undefined;
}

function orderCart() {
  const checkedOut = session.call('checkout', urlOf('checkout'));
  if (checkApiResponse(checkedOut, 'checkout', CART, isThere) === undefined) {
    return;
  }
  const res = session.call('create_order', urlOf('create_order'), dialect.order(plan.run_mark));
  if (checkApiResponse(res, 'create_order', ORDER, isThere) !== undefined) {
    ordersCreated.add(1);
  }
}
