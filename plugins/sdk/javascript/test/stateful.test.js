import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Fatal, Reject, aggregator, emit, packed, process } from '../index.js';
import { batch, binary, column, items } from './columns.js';

const sum = aggregator({
  fields: { n: 's64' },
  add(state, { n }) {
    if (n < 0) throw new Reject('negative');
    state.sum = (state.sum ?? 0) + n;
  },
  merge: (into, from) => ({ sum: into.sum + from.sum }),
  finish: ({ sum }, { key }) => [{ key, sum }, ...(sum > 5 ? [{ big: true }] : [])],
  migrations: { 0: (bytes) => ({ sum: bytes[0] }) },
});
sum.configure('{}');

test('an aggregator adds, merges and finishes', () => {
  const given = batch({ times: [0, 0, 0], fields: [column('s64', [1, -1, 4])] });
  const { accumulators, rejects } = sum.accumulate(binary(['', '{"sum":2}']), [0, 1, 1], given);
  assert.deepEqual(items(accumulators), ['{"sum":1}', '{"sum":6}']);
  assert.deepEqual(rejects, [{ row: 1, reason: 'negative' }]);
  const merged = sum.merge(accumulators, [0, 0], 1);
  assert.deepEqual(items(merged), ['{"sum":7}']);
  const { origins, values } = sum.finish({ starts: [0], ends: [9], panes: ['on-time'], keys: binary(['k']), accumulators: merged });
  assert.deepEqual([origins, items(values)], [[0, 0], ['{"key":"k","sum":7}', '{"big":true}']]);
});

test('states of a known old version are rewritten, others are fatal', () => {
  assert.deepEqual(items(sum.migrate(0, binary([Uint8Array.of(7), '']))), ['{"sum":7}', '']);
  assert.throws(() => sum.migrate(3, binary(['x'])), (error) => error instanceof Fatal && error.message === 'unknown version 3');
});

test('packed states keep every number, also beyond 2^53', () => {
  const codec = packed({ a: 's64', b: 'f64', c: 'bool' }, { a: 2n ** 63n - 1n });
  assert.deepEqual(codec.decode(codec.encode(codec.fresh())), { a: 2n ** 63n - 1n, b: 0, c: false });
  for (const a of [0, -1, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    assert.deepEqual(codec.decode(codec.encode({ a, b: -0.5, c: true })), { a, b: -0.5, c: true });
  }
  assert.throws(() => codec.decode(new Uint8Array(3)), /3 bytes instead of 17/);
});

// Emits what it sees, sets a timer 10 after each row, and says when one fires.
const timers = process({
  fields: { n: 's64' },
  sideOutputs: ['fired'],
  row({ n }, context) {
    context.state = { seen: (context.state?.seen ?? 0) + 1 };
    context.setTimer(context.time + 10);
    return { n, seen: context.state.seen };
  },
  timer(time, context) {
    if (context.state.seen > 1) context.state = undefined;
    return emit({ to: 'fired', value: { key: context.key, time } });
  },
});
timers.configure('{}');

function turn({ ordered, watermark, pending = { groups: [], times: [] } }) {
  return timers.process({
    keys: binary(['a', 'b']),
    states: binary(['', '']),
    groups: [0, 1, 0],
    batch: batch({ times: [0, 5, 10], fields: [column('s64', [1, 2, 3])] }),
    timers: pending,
    watermark,
    ordered,
  });
}

test('with rows in order, timers fire between them; the rest stays pending', () => {
  const { main, sides, states, timers: left } = turn({ ordered: true, watermark: 9 });
  assert.deepEqual(items(main.values), ['{"n":1,"seen":1}', '{"n":2,"seen":1}', '{"n":3,"seen":2}']);
  assert.deepEqual(sides[0].rows, { origins: [3], times: [10], keys: undefined, values: sides[0].rows.values });
  assert.deepEqual(items(sides[0].rows.values), ['{"key":"a","time":10}']);
  assert.deepEqual(items(states), ['{"seen":2}', '{"seen":1}']);
  assert.deepEqual(left, { groups: [0, 1], times: [20, 15] });
});

test('without order, timers fire after all rows, key by key, each by time', () => {
  const { sides, states, timers: left } = turn({ ordered: false, watermark: 15, pending: { groups: [1], times: [-3] } });
  assert.deepEqual(sides[0].rows.times, [10, -3, 15]);
  assert.deepEqual(sides[0].rows.origins, [3, 4, 4]);
  assert.deepEqual(items(states), ['', '{"seen":1}']);
  assert.deepEqual(left, { groups: [0], times: [20] });
});
