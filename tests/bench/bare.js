// The yardstick: k6 with its default options, plain requests (http.get, or http.post where the scenario posts) with one
// header, the bodies kept as text.
import http from 'k6/http';
import { check } from 'k6';
import { timed } from './measured.js';

export { handleSummary } from './measured.js';

const params = { headers: { Authorization: `Bearer ${__ENV.BENCH_TOKEN}` } };
const requests = JSON.parse(__ENV.BENCH_REQUESTS).map(([method, url, body]) => {
  return method === 'GET' ? () => http.get(url, params) : () => http.post(url, body, params);
});

export const options = {
  scenarios: {
    loop: {
      executor: 'shared-iterations',
      vus: Number(__ENV.BENCH_VUS),
      iterations: Number(__ENV.BENCH_ITERATIONS),
      exec: __ENV.BENCH_EXEC,
    },
  },
};

export const setup = timed(() => ({}));

/** No look at the body. */
export default function () {
  ask();
}

/** With the design's checkApiResponse (section 4.2), which reads the body three times. */
export function checked() {
  check(ask(), {
    'status 200': (r) => r.status === 200,
    'success true': (r) => r.json('success') === true,
    'has data': (r) => r.json('data') !== null,
  });
}

let asked = 0;

function ask() {
  asked += 1;
  return requests[asked % requests.length]();
}
