// What k6 leaves behind: all metrics, and every threshold with the number of samples it was judged on.
//
// k6 passes a threshold that no sample reached (k6 #4283), so the number must be there. setup()'s data is left out: it
// may hold tokens.
import { plan } from './config.js';

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
    })),
  );
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
    thresholds: thresholdsOf(data.metrics),
    metrics: Object.assign(answersOf(data.metrics), data.metrics),
  };
  return { [__ENV.SUITE_SUMMARY]: JSON.stringify(summary) };
}
