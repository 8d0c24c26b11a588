// Counts the requests of each service in a window: all, failed ones, and how long the slowest took.

import { aggregator, packed } from 'wasmill';

export default aggregator({
  fields: { status: '/status: s64', millis: '/millis: s64' },
  settings: { at_least: { type: 'integer', minimum: 1, default: 1 } },
  accumulator: packed({ requests: 's64', failed: 's64', slowest: 's64' }),

  add(totals, { status, millis }) {
    totals.requests += 1;
    if (status >= 500) totals.failed += 1;
    totals.slowest = Math.max(totals.slowest, millis);
  },

  merge(into, from) {
    into.requests += from.requests;
    into.failed += from.failed;
    into.slowest = Math.max(into.slowest, from.slowest);
  },

  finish({ requests, failed, slowest }, { key, start, settings }) {
    if (requests < settings.at_least) return undefined;
    return { service: key, requests, failed, slowest_ms: slowest, from: new Date(start).toISOString() };
  },
});
