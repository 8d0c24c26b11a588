// The transform that every SDK is checked with. The rules are those of `conformance/README.md`.

import { Reject, emit, metrics, transform } from 'wasmill';

const modulo = (value, by) => ((value % by) + by) % by;

export default transform(
  {
    fields: { id: '/id: s64', name: '/name: string?', amount: '/amount: f64' },
    settings: { factor: { type: 'integer', default: 2, minimum: 1 } },
    sideOutputs: { nameless: false },
    readsValues: false,
  },
  ({ id, name, amount }, { time, settings: { factor } }) => {
    metrics.count('rows');
    if (id % 7 === 0) return undefined;
    if (amount < 0) throw new Reject('negative amount');
    if (name === undefined) return emit({ to: 'nameless' });
    const cents = Math.floor(amount * factor * 100 + 0.5);
    const row = (id, at) => emit({ key: name, time: at, value: { id, name, cents } });
    const at = time + modulo(id, 1000);
    return id % 5 === 0 ? [row(id, at), row(-id, at)] : row(id, at);
  },
);
