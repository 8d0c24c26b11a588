import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings, schemaOf } from '../src/settings.js';

const schema = schemaOf({
  factor: { type: 'integer', default: 2, minimum: 1 },
  zones: { type: 'array', items: { type: 'string', minLength: 2 }, default: [] },
  mode: { enum: ['fast', 'exact'], default: 'fast' },
  limit: { type: ['number', 'null'] },
});
const message = (text) => {
  try {
    return parseSettings(text, schema);
  } catch (error) {
    return error.message;
  }
};

test('good settings come with their defaults', () => {
  assert.deepEqual(message('{"limit":0.5,"zones":["JFK"]}'), { limit: 0.5, zones: ['JFK'], factor: 2, mode: 'fast' });
});

test('an error names the setting and says what was expected', () => {
  assert.equal(message('{"limit":1,"factor":0}'), 'setting "factor": expected at least 1, found 0');
  assert.equal(message('{"limit":1,"factor":"2"}'), 'setting "factor": expected an integer, found "2"');
  assert.equal(message('{"limit":1,"zones":["JFK","x"]}'), 'setting "zones[1]": expected a text of at least 2 characters, found "x"');
  assert.equal(message('{"limit":1,"mode":"slow"}'), 'setting "mode": expected "fast" or "exact", found "slow"');
  assert.equal(message('{"limit":true}'), 'setting "limit": expected a number or null, found true');
  assert.match(message('{}'), /^setting "limit" is missing/);
});

test('an unknown setting is refused, with the one that was probably meant', () => {
  assert.equal(message('{"x":1}'), 'unknown setting "x", expected factor, zones, mode, limit');
  assert.match(message('{"facotr":1}'), /; did you mean "factor"\?$/);
});

test('a schema with a word that would not be checked is refused', () => {
  assert.throws(() => schemaOf({ at: { type: 'string', format: 'date' } }), /"format" is not among/);
});
