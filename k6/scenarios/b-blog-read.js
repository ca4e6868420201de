// B: reading the blog at a fixed rate, 70 % lists and 30 % details (design 4.3 B). Open model: no sleep.
import { Session, account } from '../lib/auth.js';
import { expectStatuses, successAnd } from '../lib/checks.js';
import { LOAD, commonOptions, pageUrl, plan, seconds, urlOf } from '../lib/config.js';
import { dialect } from '../lib/dialect.js';
import { question } from '../lib/question.js';
import { constantRate, fromIntended } from '../lib/schedule.js';
import { loadBegins, noteSeam } from '../lib/segment.js';
import { idsOnPage, nothingAt, setupLogin } from '../lib/setup.js';
import { FAILED, latency, thresholds } from '../lib/thresholds.js';

export { handleSummary } from '../lib/summary.js';

const LIST_SHARE = 0.7; // design 4.3 B
const PAGES_AT_MOST = 10; // design 4.3 B: page = random * 10

const load = plan.load;
const posts = plan.responses.posts;
const POST_COUNT = successAnd(`${posts.items}.#`);
const POST = successAnd(dialect.paths.post);
const noteLatency = fromIntended(constantRate(load.rate_per_s), load.rate_per_s * load.duration_s);
expectStatuses();

export const options = Object.assign({}, commonOptions, {
  scenarios: {
    blog_read: {
      executor: 'constant-arrival-rate',
      rate: load.rate_per_s,
      timeUnit: '1s',
      duration: seconds(load.duration_s),
      preAllocatedVUs: load.pre_allocated_vus,
      maxVUs: load.max_vus,
      tags: LOAD,
    },
  },
  thresholds: thresholds({
    [latency()]: ['p(95)<100'], // design 4.3 B: http_req_duration
    [FAILED]: ['rate<0.001'], // design 4.3 B: http_req_failed
    [latency('post_list')]: ['p(95)<80'], // design 4.3 B: {name:post_list}
    [latency('post_detail')]: ['p(95)<50'], // design 4.3 B: {name:post_detail}
  }),
});

/** Signs in and reads which posts there are: random ids would be 404 (corrections 5). */
export function setup() {
  const grant = setupLogin();
  const reader = new Session(account, grant);
  const pages = [];
  while (pages.length < PAGES_AT_MOST) {
    const ids = idsOnPage(reader, 'post_list', posts, pages.length);
    if (ids.length === 0) {
      break;
    }
    pages.push(ids);
  }
  if (pages.length === 0) {
    nothingAt('post_list', 'posts');
  }
  return { grant, pages: pages.length, ids: pages.flat(), load_started_ms: loadBegins() };
}

// What a VU makes of setup()'s data, once.
let session = null;
let lists = [];
let details = [];

function begin({ grant, pages, ids }) {
  session = new Session(account, grant);
  lists = Array.from({ length: pages }, (_, page) => {
    return question('post_list', pageUrl('post_list', posts, page), POST_COUNT, (found) => found[1] > 0);
  });
  details = ids.map((id) => question('post_detail', urlOf('post_detail', id), POST, (found) => found[1] === id));
}

export default function (data) {
  noteSeam();
  if (session === null) {
    begin(data);
  }
  if (session.ready()) {
    oneOf(Math.random() < LIST_SHARE ? lists : details)(session);
  }
  noteLatency();
}

function oneOf(list) {
  return list[Math.floor(Math.random() * list.length)];
}
