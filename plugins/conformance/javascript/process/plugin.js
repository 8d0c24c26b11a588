// The process that every SDK is checked with. The rules are those of `conformance/README.md`.

import { Reject, emit, metrics, packed, process } from 'wasmill';

const MINUTE = 60_000;
const old = packed({ count: 's64', sum: 's64' });

export default process({
  fields: { id: '/id: s64', cents: '/cents: s64' },
  settings: { factor: { type: 'integer', default: 2, minimum: 1 } },
  sideOutputs: ['idle'],
  readsValues: false,
  state: packed({ count: 's64', sum: 's64', last: 's64' }),
  migrations: { 0: (bytes) => ({ ...old.decode(bytes), last: 0 }) },

  row({ id, cents }, context) {
    metrics.count('rows');
    if (cents === 13) throw new Reject('unlucky');
    const { factor } = context.settings;
    const state = (context.state ??= context.freshState());
    state.count += 1;
    state.sum += cents * factor;
    state.last = context.time;
    context.setTimer(Math.floor(context.time / MINUTE) * MINUTE + 2 * MINUTE);
    const { count, sum } = state;
    if (cents * count > sum + 100 * factor * count) return { key: context.key, id, cents, count };
    return undefined;
  },

  timer(time, context) {
    const { state } = context;
    if (state === undefined || state.last + MINUTE >= time) return undefined;
    context.state = undefined;
    return emit({ to: 'idle', value: { key: context.key, count: state.count, sum: state.sum, at: time } });
  },
});
