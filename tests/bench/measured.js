// What a loop's run leaves for the bench: requests, and the seconds that they took.

/** `setup` of a loop, noting how long it took. */
export function timed(setup) {
  return () => {
    const began = Date.now();
    const data = setup();
    return Object.assign({}, data, { setup_ms: Date.now() - began });
  };
}

export function handleSummary(data) {
  const { metrics, setup_data: setup, state } = data;
  const requests = (metrics['http_reqs{part:load}'] || metrics.http_reqs).values.count;
  const wrong = metrics.wrong_answers ? metrics.wrong_answers.values.count : 0;
  const seconds = (state.testRunDurationMs - setup.setup_ms) / 1000;
  return { [__ENV.SUITE_SUMMARY]: JSON.stringify({ requests, wrong, seconds }) };
}
