// A: shopping from the list to the order, every VU a customer of its own with the think times of the design (4.3 A).
import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter } from 'k6/metrics';
import { SIGNS_IN, Session, account, poolUser } from '../lib/auth.js';
import { expectStatuses, isThere, successAnd } from '../lib/checks.js';
import { LOAD, commonOptions, pageUrl, plan, seconds, urlOf } from '../lib/config.js';
import { dialect } from '../lib/dialect.js';
import { command, question } from '../lib/question.js';
import { joinIn, loadBegins, noteSeam } from '../lib/segment.js';
import { idsOnPage, nothingAt, setupLogin, stop } from '../lib/setup.js';
import { FAILED, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

const VISIT_S = 3; // the think times below

const load = plan.load;
const products = plan.responses.products;
const PRODUCT_IDS = successAnd(`${products.items}.#.${products.id}`);
const PRODUCT = successAnd(dialect.paths.product);
const { cart_total: CART_TOTAL, cart_lines: CART_LINES, order: ORDER_NUMBER, order_total: ORDER_TOTAL } = dialect.paths;
// Orders write: only where the target says that its data may be written (design 4.3 A, corrections 4).
const ORDERS = plan.data_may_be_written;

const ordersCreated = new Counter('orders_created');
const ordersAmount = new Counter('orders_amount'); // what the customers were told that they owe
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
        [latency('product_list')]: ['p(95)<100'], // design 4.3 A: {name:product_list}
        [latency('product_detail')]: ['p(95)<80'], // design 4.3 A: {name:product_detail}
        [latency('add_to_cart')]: ['p(95)<120'], // design 4.3 A: {name:add_to_cart}
      },
      SIGNS_IN ? { [latency('login')]: ['p(95)<150'] } : {}, // design 4.3 A: {name:login}
      ORDERS ? { [latency('create_order')]: ['p(95)<300'] } : {}, // design 4.3 A: {name:create_order}
    ),
  ),
});

/** A target that is down, refuses its test account or has no products is said once, before 100 VUs find out. */
export function setup() {
  const users = plan.users.pool.count;
  if (load.vus > users) {
    stop(
      `${load.vus} VUs for ${users} users: two would share a cart`,
      'Lower a.vus, or seed more users and raise users.pool.count.',
    );
  }
  const reader = new Session(account, setupLogin());
  if (idsOnPage(reader, 'product_list', products, 0).length === 0) {
    nothingAt('product_list', 'products');
  }
  return { load_started_ms: loadBegins() };
}

const listProducts = question(
  'product_list',
  pageUrl('product_list', products, 0),
  PRODUCT_IDS,
  (found) => isThere(found[1]) && found[1].length > 0,
);
// The total is the sum of the lines, of which there is at least one.
const addToCart = command(
  'add_to_cart',
  urlOf('add_to_cart'),
  successAnd(CART_TOTAL, CART_LINES),
  (found) => isThere(found[2]) && found[2].length > 0 && found[1] === sum(found[2]),
);
const checkOut = ORDERS && command('checkout', urlOf('checkout'), successAnd(CART_TOTAL), isExpected);
const createOrder =
  ORDERS &&
  command(
    'create_order',
    urlOf('create_order'),
    successAnd(ORDER_NUMBER, ORDER_TOTAL),
    (found) => isThere(found[1]) && found[2] > 0,
  );

let session = null;
const details = {};

export default function () {
  joinIn(VISIT_S, sleep);
  noteSeam();
  shop(sleep);
}

/** One customer's visit; `pause` is given the think times of the design in seconds. */
export function shop(pause) {
  session = session || new Session(poolUser(exec.vu.idInTest));
  const found = session.ready() ? listProducts(session) : undefined;
  pause(1);
  if (found === undefined) {
    return;
  }
  const productId = found[1][Math.floor(Math.random() * found[1].length)];
  showProduct(productId);
  pause(0.5);
  const cart = addToCart(session, JSON.stringify(dialect.cartItem(productId)));
  pause(0.5);
  if (ORDERS && cart !== undefined) {
    orderCart(cart[1]);
  }
  pause(1);
}

function showProduct(productId) {
  const show = details[productId] || (details[productId] = detailOf(productId));
  show(session);
}

function detailOf(productId) {
  const asked = String(productId);
  const url = urlOf('product_detail', productId);
  return question('product_detail', url, PRODUCT, (found) => String(found[1]) === asked);
}

/** `total`: what the customer was told that the cart costs. */
function orderCart(total) {
  if (checkOut(session, null, total) === undefined) {
    return;
  }
  const order = createOrder(session, ORDER_BODY);
  if (order !== undefined) {
    ordersCreated.add(1);
    ordersAmount.add(order[2]);
  }
}

function isExpected(found, expected) {
  return found[1] === expected;
}

function sum(numbers) {
  let total = 0;
  for (let i = 0; i < numbers.length; i += 1) {
    total += numbers[i];
  }
  return total;
}
