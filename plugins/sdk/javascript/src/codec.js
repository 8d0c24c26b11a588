// How accumulators and states become bytes between two calls. Their layout lives as long as the state of the job: when it
// changes, raise `stateVersion` and say in `migrations` how to read the old one.

import { columnOf } from './binary.js';
import { Fatal } from './failure.js';
import { byteString, bytesOf, decode, encode } from './text.js';

/** Any JSON value; the default. `fresh()` makes the first one. */
export function json(fresh = () => ({})) {
  return {
    fresh,
    encode: (state) => bytesOf(encode(JSON.stringify(state))),
    decode: (bytes) => JSON.parse(decode(byteString(bytes))),
  };
}

const TWO_32 = 2 ** 32;
const SAFE_HIGH = 2 ** 21;

// Whole numbers beyond 2^53 are read as BigInt, so nothing is ever rounded.
const TYPES = {
  s64: {
    size: 8,
    write: (view, at, value) => {
      if (Number.isSafeInteger(value)) {
        view.setUint32(at, value >>> 0, true);
        view.setInt32(at + 4, Math.floor(value / TWO_32), true);
      } else {
        view.setBigInt64(at, BigInt(value), true);
      }
    },
    read: (view, at) => {
      const high = view.getInt32(at + 4, true);
      return high >= -SAFE_HIGH && high < SAFE_HIGH
        ? high * TWO_32 + view.getUint32(at, true)
        : view.getBigInt64(at, true);
    },
  },
  f64: {
    size: 8,
    write: (view, at, value) => view.setFloat64(at, value, true),
    read: (view, at) => view.getFloat64(at, true),
  },
  bool: {
    size: 1,
    write: (view, at, value) => view.setUint8(at, value ? 1 : 0),
    read: (view, at) => view.getUint8(at) !== 0,
  },
};

/**
 * Numbers at fixed places, little-endian: `packed({ count: 's64', mean: 'f64' })`. Smaller and several times faster than
 * JSON. Fresh ones are zero, or as given: `packed({ least: 's64' }, { least: 2n ** 63n - 1n })`.
 */
export function packed(members, fresh = {}) {
  const places = [];
  let size = 0;
  for (const [name, type] of Object.entries(members)) {
    if (!(type in TYPES)) throw new TypeError(`member "${name}": expected s64, f64 or bool, found ${JSON.stringify(type)}`);
    places.push({ name, at: size, ...TYPES[type], zero: type === 'bool' ? false : 0 });
    size += TYPES[type].size;
  }
  return {
    fresh: () => Object.fromEntries(places.map(({ name, zero }) => [name, fresh[name] ?? zero])),
    encode: (state) => {
      const bytes = new Uint8Array(size);
      const view = new DataView(bytes.buffer);
      for (const { name, at, write } of places) write(view, at, state[name]);
      return bytes;
    },
    decode: (bytes) => {
      if (bytes.length !== size) {
        throw new TypeError(`stored state has ${bytes.length} bytes instead of ${size}: another version of the plugin wrote it`);
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      const state = {};
      for (const { name, at, read } of places) state[name] = read(view, at);
      return state;
    },
  };
}

/** Rewrites states of an older version by the plugin's table of migrations. */
export function migrate(column, fromVersion, migrations, codec) {
  if (column.length === 0) return column.raw();
  const read = migrations?.[fromVersion];
  if (read === undefined) throw new Fatal(`unknown version ${fromVersion}`);
  const rewrite = (bytes) => {
    try {
      return byteString(codec.encode(read(bytes)));
    } catch (error) {
      throw new Fatal(`state of version ${fromVersion}: ${error.message}`);
    }
  };
  return columnOf(column.ends.map((_, at) => (column.isEmpty(at) ? '' : rewrite(column.bytes(at)))));
}
