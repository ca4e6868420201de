// A: shopping from the list to the order, every VU a customer of its own with the think times of the design (4.3 A).
import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { Session, poolUser, setupLogin } from '../lib/auth.js';
import { checkApiResponse, expectStatuses, isThere, successAnd } from '../lib/checks.js';
import { LOAD, commonOptions, pageUrl, plan, seconds, urlOf } from '../lib/config.js';
import { dialect } from '../lib/dialect.js';
import { question } from '../lib/question.js';
import { FAILED, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

const load = plan.load;
const products = plan.responses.products;
const PRODUCT_IDS = successAnd(`${products.items}.#.${products.id}`);
const PRODUCT = successAnd(dialect.paths.product);
const { cart, cart_total: total, cart_lines: lines, order, order_total: amount } = dialect.paths;
const CART = successAnd(`{"id":${cart},"total":${total},"lines":${lines}}`);
const ORDER = successAnd(`{"number":${order},"amount":${amount}}`);
// Orders write: only where the target says that its data may be written (design 4.3 A, corrections 4).
const ORDERS = plan.data_may_be_written;

const ordersCreated = new Counter('orders_created');
const ordersAmount = new Counter('orders_amount'); // what the customers were told that they owe
const productList = question('product_list', pageUrl('product_list', products, 0), PRODUCT_IDS, isNotEmpty);
const productDetails = {};
const addUrl = urlOf('add_to_cart');
const checkoutUrl = ORDERS ? urlOf('checkout') : null;
const orderUrl = ORDERS ? urlOf('create_order') : null;
const ORDER_BODY = JSON.stringify(dialect.order(plan.run_mark));
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
  shop(sleep);
}

/** One customer's visit; `pause` is given the think times of the design in seconds. */
export function shop(pause) {
  session = session || new Session(poolUser(exec.vu.idInTest));
  const productId = session.ready() ? pickProduct() : undefined;
  pause(1);
  if (productId === undefined) {
    return;
  }
  showProduct(productId);
  pause(0.5);
  const inCart = addToCart(productId);
  pause(0.5);
  if (ORDERS && inCart) {
    orderCart();
  }
  pause(1);
}

/** A product of the first page as the target lists it, or undefined. */
function pickProduct() {
  const ids = productList(session);
  return ids && ids[Math.floor(Math.random() * ids.length)];
}

function showProduct(productId) {
  const ask = productDetails[productId] || (productDetails[productId] = detailOf(productId));
  ask(session);
}

function detailOf(productId) {
  const asked = String(productId);
  return question('product_detail', urlOf('product_detail', productId), PRODUCT, (id) => String(id) === asked);
}

function addToCart(productId) {
  const res = session.post('add_to_cart', addUrl, JSON.stringify(dialect.cartItem(productId)));
  return checkApiResponse(res, 'add_to_cart', CART, isCart) !== undefined;
}

function orderCart() {
  const checkedOut = session.post('checkout', checkoutUrl);
  if (checkApiResponse(checkedOut, 'checkout', CART, isCart) === undefined) {
    return;
  }
  const res = session.post('create_order', orderUrl, ORDER_BODY);
  const made = checkApiResponse(res, 'create_order', ORDER, isOrder);
  if (made !== undefined) {
    ordersCreated.add(1);
    ordersAmount.add(made.amount);
  }
}

function isNotEmpty(ids) {
  return isThere(ids) && ids.length > 0;
}

/** Its total is the sum of its lines, of which there is at least one. */
function isCart(found) {
  return isThere(found.id) && isNotEmpty(found.lines) && found.total === sum(found.lines);
}

function isOrder(found) {
  return isThere(found.number) && found.amount > 0;
}

function sum(numbers) {
  return numbers.reduce((before, number) => before + number, 0);
}
