// Latency from the intended start (anchors.md): from when an iteration was due by its schedule to its end.
//
// A target that is slow for a second keeps all VUs waiting; what should have been asked meanwhile is asked late, and
// k6's own durations begin only then, so they say nothing of the wait (coordinated omission). Here the wait counts.
//
// k6 numbers the iterations that it starts. One that it had to drop (all VUs busy, none left to add) takes no number, so
// those that follow are measured against an earlier place in the schedule: late by as many intervals as were dropped,
// as for a client that waits its turn instead of giving up.
import exec from 'k6/execution';
import { Trend } from 'k6/metrics';

// Samples that a run keeps at least, where it has so many. One costs 5 us, about 5 % of a request: all iterations of a
// small load are measured, and every k-th of a large one. 10,000 place p99 among its 100 slowest.
const SAMPLES = 10000;

const MS_PER_S = 1000;

const latency = new Trend('latency_from_intended', true);

/** For `constant-arrival-rate`: when iteration `i` (from 0) is due, in ms from the scenario's start. */
export function constantRate(ratePerS) {
  return (i) => (i / ratePerS) * MS_PER_S;
}

/**
 * For `ramping-arrival-rate`: when iteration `i` (from 0) is due, in ms from the scenario's start.
 *
 * The rate goes in a straight line from stage to stage (`{duration_s, target_per_s}`), N(t) is its integral, and k6
 * starts iteration i when N(t) = i + 1. Within a stage of slope a that begins at rate r with n of N still to come,
 * r t + a t^2 / 2 = n; its root is written so that a = 0 needs no case of its own.
 */
export function rampingRate(startRatePerS, stages) {
  let from = startRatePerS;
  let begins = 0;
  let before = 0;
  const parts = stages.map(({ duration_s: duration, target_per_s: target }) => {
    const part = { from, slope: (target - from) / duration, begins, before };
    before += ((from + target) / 2) * duration;
    begins += duration;
    from = target;
    return Object.assign(part, { until: before });
  });
  const last = parts[parts.length - 1];
  return (i) => {
    const part = parts.find(({ until }) => i + 1 <= until) || last;
    const left = Math.min(i + 1, part.until) - part.before;
    const root = Math.sqrt(Math.max(0, part.from * part.from + 2 * part.slope * left));
    return (part.begins + (2 * left) / (part.from + root)) * MS_PER_S;
  };
}

/**
 * Call what this returns when an iteration's request has ended. `dueMs` is one of the schedules above, `expected` the
 * number of iterations in all.
 *
 * Each VU measures every k-th of its own iterations, the VUs out of step with each other. Whole milliseconds, as k6
 * tells the scenario's start. `exec.scenario` makes a new object whenever it is read; its fields stay up to date.
 */
export function fromIntended(dueMs, expected) {
  const every = Math.max(1, Math.floor(expected / SAMPLES));
  let scenario = null;
  let startMs = 0;
  let passed = 0;
  return () => {
    if (scenario === null) {
      scenario = exec.scenario;
      startMs = scenario.startTime;
      passed = exec.vu.idInTest;
    }
    passed += 1;
    if (passed % every === 0) {
      latency.add(Math.max(0, Date.now() - startMs - dueMs(scenario.iterationInTest)));
    }
  };
}
