// Batches as the host would send them, for the tests.

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function binary(items) {
  const bytes = items.map((item) => (typeof item === 'string' ? encoder.encode(item) : item));
  let end = 0;
  return { ends: bytes.map((item) => (end += item.length)), bytes: Uint8Array.from(bytes.flatMap((item) => [...item])) };
}

/** The items of a column as texts. */
export function items({ ends, bytes }) {
  return ends.map((end, at) => decoder.decode(bytes.subarray(at === 0 ? 0 : ends[at - 1], end)));
}

const TAGS = { s64: 's64s', time: 's64s', f64: 'f64s', bool: 'bools', string: 'strings' };
const ZEROS = { s64: 0, time: 0, f64: 0, bool: false, string: '' };

/** A column of a field; `undefined` cells are missing. */
export function column(type, cells) {
  const filled = cells.map((cell) => cell ?? ZEROS[type]);
  const missing = cells.flatMap((cell, at) => (cell === undefined ? [at] : []));
  return { cells: { tag: TAGS[type], val: type === 'string' ? binary(filled) : filled }, missing };
}

export function batch({ times, keys, values, fields = [] }) {
  return { times, keys: keys && binary(keys), values: values && binary(values), fields };
}
