// The aggregator that every SDK is checked with. The rules are those of `conformance/README.md`.

import { Reject, aggregator, metrics, packed } from 'wasmill';

const fresh = { min: 2n ** 63n - 1n, max: -(2n ** 63n) };
const old = packed({ count: 's64', sum: 's64', min: 's64' });

export default aggregator({
  fields: { id: '/id: s64', cents: '/cents: s64' },
  settings: { factor: { type: 'integer', default: 2, minimum: 1 } },
  accumulator: packed({ count: 's64', sum: 's64', min: 's64', max: 's64' }, fresh),
  migrations: {
    0: (bytes) => {
      const state = old.decode(bytes);
      return { ...state, max: state.min };
    },
  },

  add(totals, { id, cents }, { settings }) {
    metrics.count('rows');
    if (cents === 13) throw new Reject('unlucky');
    totals.count += 1;
    totals.sum += cents * settings.factor;
    if (id < totals.min) totals.min = id;
    if (id > totals.max) totals.max = id;
  },

  merge(into, from) {
    into.count += from.count;
    into.sum += from.sum;
    if (from.min < into.min) into.min = from.min;
    if (from.max > into.max) into.max = from.max;
  },

  finish({ count, sum, min, max }, { key, start, end, isLate }) {
    if (count % 11 === 0) throw new Reject('eleven');
    const totals = { key, count, sum, min, max, from: start, to: end, late: isLate };
    return sum % 2 === 0 ? totals : [totals, { key, odd: sum }];
  },
});
