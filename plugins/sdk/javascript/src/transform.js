// Stateless logic as a plugin: from a function over rows, or over whole batches.

import { BinaryColumn, columnOf, valueOf } from './binary.js';
import { Context } from './context.js';
import { Writer } from './emit.js';
import { Fatal, Reject } from './failure.js';
import { keyOf } from './key.js';
import { Plugin, inputOf } from './plugin.js';

const OPTIONS = ['fields', 'settings', 'prepare', 'sideOutputs', 'readsValues', 'writesValues'];

/** A transform: `logic(row, context)` is called for each row and returns what becomes of it. */
export function transform(options, logic) {
  if (typeof logic !== 'function') throw new TypeError('transform: expected (options, function)');
  return new Transform(options, logic);
}

/** A transform over columns: `logic(batch, settings)` is called once per batch. */
export function transformBatch(options, logic) {
  if (typeof logic !== 'function') throw new TypeError('transformBatch: expected (options, function)');
  return new BatchTransform(options, logic);
}

class Stateless extends Plugin {
  constructor(options, logic) {
    super('transform', options, OPTIONS);
    this.logic = logic;
  }

  migrate() {
    throw new Fatal('no state');
  }
}

class Transform extends Stateless {
  transform(batch) {
    const { cells, rounded, keys, values } = this.open(batch);
    const writer = new Writer(this.writesValues, this.sides, inputOf(batch, keys, values));
    const context = new Context(batch, keys, values, this.settings);
    const rows = batch.times.length;
    const { logic, row: rowOf } = this;
    for (let row = 0; row < rows; row += 1) {
      context.at = row;
      if (rounded.size > 0 && rounded.has(row)) {
        writer.reject(row, rounded.get(row));
        continue;
      }
      try {
        writer.add(row, logic(rowOf(cells, row), context));
      } catch (error) {
        if (!(error instanceof Reject)) throw error;
        writer.reject(row, error.message);
      }
    }
    return writer.finish(rows);
  }
}

class BatchTransform extends Stateless {
  transform(batch) {
    const { cells, keys, values } = this.open(batch);
    const columns = Object.fromEntries(this.fields.map(({ name }, at) => [name, cells[at]]));
    const rows = { length: batch.times.length, times: batch.times, keys, values, columns };
    const { sides = {}, rejects = [], ...main } = this.logic(rows, this.settings) ?? {};
    return {
      main: columnsOf(main),
      sides: Object.entries(sides).map(([name, side]) => ({ side: this.#side(name), rows: columnsOf(side) })),
      rejects,
    };
  }

  #side(name) {
    const side = this.sides.findIndex((one) => one.name === name);
    if (side < 0) throw new TypeError(`no side output "${name}"; declared are: ${this.sides.map((one) => one.name).join(', ') || 'none'}`);
    return side;
  }
}

function columnsOf({ origins, times, keys, values }) {
  const column = (items, byteString) => {
    if (items === undefined || items === null) return undefined;
    return items instanceof BinaryColumn ? items.raw() : columnOf(Array.from(items, byteString));
  };
  return { origins: origins && [...origins], times: times && [...times], keys: column(keys, keyOf), values: column(values, valueOf) };
}
