// One scenario's own request loop, without its schedule and its think times: what the generator can send at most.
import { LOAD, plan } from '../../k6/lib/config.js';
import { timed } from './measured.js';

export { handleSummary } from './measured.js';

const scenario = require(`../../k6/scenarios/${plan.scenario}.js`);

const LOOPS = {
  'a-shopping-flow': () => scenario.shop(() => {}),
  'e-cache-thundering': scenario.thunderingHerd,
};
const loop = LOOPS[plan.scenario] || scenario.default;

export const options = Object.assign({}, scenario.options, {
  scenarios: {
    loop: {
      executor: 'shared-iterations',
      vus: Number(__ENV.BENCH_VUS),
      iterations: Number(__ENV.BENCH_ITERATIONS),
      tags: LOAD,
    },
  },
});

export const setup = timed(scenario.setup);

export default function (data) {
  loop(data);
}
