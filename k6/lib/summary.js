// What k6 leaves behind: all metrics, and every threshold with the number of samples it was judged on.
//
// k6 passes a threshold that no sample reached (k6 #4283), so the number must be there. setup()'s data is left out: it
// may hold tokens.
import { plan } from './config.js';
import { FAILED, REFUSED, withoutRefusals } from './thresholds.js';

const SAMPLES = {
  trend: (values) => values.count,
  rate: (values) => values.passes + values.fails,
  counter: (values) => values.count,
  gauge: () => 1,
};

function thresholdsOf(metrics) {
  return Object.entries(metrics).flatMap(([metric, { type, values, thresholds }]) =>
    Object.entries(thresholds || {}).map(([expression, { ok }]) => ({
      metric,
      expression,
      ok,
      samples: SAMPLES[type](values),
      value: type === 'rate' ? values.rate : null,
    })),
  );
}

/** The thresholds on failed requests with the limiter's refusals left out, where it is measured itself. */
function thresholdsWithoutRefusals(metrics) {
  const { passes: failed, fails: good } = metrics[FAILED].values; // k6's words: `passes` counts what is true
  const refused = metrics[REFUSED] ? metrics[REFUSED].values.count : 0;
  const samples = failed + good - refused;
  return withoutRefusals.map((expression) => {
    const ok = samples > 0 && (failed - refused) / samples < Number(expression.replace('rate<', ''));
    return { metric: `${FAILED} without 429`, expression, ok, samples };
  });
}

// Where statuses other than 200 are usual, k6 counts them (`countedByStatus`); for the result they count as all others.
const OF_STATUS = /^http_reqs\{part:load,status:(\d+)\}$/;

function answersOf(metrics) {
  return Object.fromEntries(
    Object.entries(metrics)
      .filter(([name]) => OF_STATUS.test(name))
      .map(([name, metric]) => [name.replace(OF_STATUS, 'answers_$1'), metric]),
  );
}

export function handleSummary(data) {
  const summary = {
    scenario: plan.scenario,
    run_id: plan.run_id,
    load_started_ms: data.setup_data ? data.setup_data.load_started_ms : null,
    ended_ms: Date.now(),
    thresholds: thresholdsOf(data.metrics).concat(REFUSED === null ? [] : thresholdsWithoutRefusals(data.metrics)),
    metrics: Object.assign(answersOf(data.metrics), data.metrics),
  };
  return { [__ENV.SUITE_SUMMARY]: JSON.stringify(summary) };
}
