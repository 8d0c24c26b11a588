import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Reject, emit, transform, transformBatch } from '../index.js';
import { batch, column, items } from './columns.js';

const rows = (ids, more = {}) => batch({ times: ids.map((_, at) => at * 10), fields: [column('s64', ids)], ...more });

function run(plugin, given, settings = '{}') {
  plugin.configure(settings);
  return plugin.transform(given);
}

test('what a function returns drops, keeps, changes or multiplies a row', () => {
  const answers = [undefined, true, { a: 1 }, [emit({ key: ['k', 1], time: 7 }), emit({ value: 'text' })], false];
  const plugin = transform({ fields: { id: 's64' } }, ({ id }) => answers[id]);
  const { main, rejects } = run(plugin, rows([0, 1, 2, 3, 4], { values: ['v0', 'v1', 'v2', 'v3', 'v4'], keys: ['a', 'b', 'c', 'd', 'e'] }));
  assert.deepEqual(main.origins, [1, 2, 3, 3]);
  assert.deepEqual(main.times, [10, 20, 7, 30]);
  assert.deepEqual(items(main.keys), ['b', 'c', 'k|1', 'd']);
  assert.deepEqual(items(main.values), ['v1', '{"a":1}', 'v3', 'text']);
  assert.deepEqual(rejects, []);
});

test('columns that nothing sets are left out', () => {
  const plugin = transform({ fields: { id: 's64' }, writesValues: false }, () => true);
  assert.deepEqual(run(plugin, rows([1, 2])).main, { origins: undefined, times: undefined, keys: undefined, values: undefined });
});

test('rows are refused with a reason; any other exception fails the call', () => {
  const plugin = transform({ fields: { id: 's64' } }, ({ id }) => {
    if (id === 2) throw new Reject('even');
    if (id === 9) throw new Error('bug');
    return {};
  });
  assert.deepEqual(run(plugin, rows([1, 2, 3])).rejects, [{ row: 1, reason: 'even' }]);
  assert.throws(() => run(plugin, rows([9])), /bug/);
});

test('whole numbers that would be rounded are refused', () => {
  const plugin = transform({ fields: { id: 's64' } }, ({ id }) => ({ id }));
  const { main, rejects } = run(plugin, rows([5, 2 ** 53]));
  assert.deepEqual(main.origins, [0]);
  assert.match(rejects[0].reason, /^\/id: s64: about 9007199254740992/);
});

test('side outputs are named; an unknown one, or a value for one that keeps bytes, is an error', () => {
  const make = (parts) => transform({ fields: { id: 's64' }, sideOutputs: { odd: false } }, () => emit(parts));
  const { main, sides } = run(make({ to: 'odd' }), rows([1, 2]));
  assert.deepEqual(main.origins, []);
  assert.deepEqual(sides[0].rows.origins, [0, 1]);
  assert.throws(() => run(make({ to: 'even' }), rows([1])), /no side output "even"; declared are: odd/);
  assert.throws(() => run(make({ to: 'odd', value: {} }), rows([1])), /declared to keep the bytes/);
});

test('missing cells are undefined, and text of any script is decoded', () => {
  const seen = [];
  const plugin = transform({ fields: { name: '/user/name: string?' } }, ({ name }) => void seen.push(name));
  run(plugin, batch({ times: [0, 0, 0], fields: [column('string', ['名前', undefined, '😀'])] }));
  assert.deepEqual(seen, ['名前', undefined, '😀']);
});

test('a function over batches sees columns and returns columns', () => {
  const plugin = transformBatch({ fields: { id: 's64' }, settings: { by: { type: 'integer' } } }, ({ columns, times }, { by }) => ({
    times: times.map((time) => time + by),
    values: columns.id.map((id) => ({ id })),
  }));
  const { main } = run(plugin, rows([1, 2]), '{"by":5}');
  assert.deepEqual(main.times, [5, 15]);
  assert.deepEqual(items(main.values), ['{"id":1}', '{"id":2}']);
});
