// Windowed logic as a plugin: an accumulator per window and key, and results when a window fires.

import { BinaryColumn, columnOf, valueOf } from './binary.js';
import { json, migrate } from './codec.js';
import { Context } from './context.js';
import { Emit } from './emit.js';
import { Plugin, orReject } from './plugin.js';
import { byteString } from './text.js';

const OPTIONS = [
  'fields', 'settings', 'prepare', 'readsValues', 'accumulator', 'stateVersion', 'migrations', 'add', 'merge', 'finish',
];

/** An aggregator from `add(accumulator, row, context)`, `merge(into, from)` and `finish(accumulator, window)`. */
export function aggregator(options) {
  for (const name of ['add', 'merge', 'finish']) {
    if (typeof options[name] !== 'function') throw new TypeError(`aggregator: expected a function "${name}"`);
  }
  return new Aggregator(options);
}

class Aggregator extends Plugin {
  constructor(options) {
    super('aggregator', options, OPTIONS);
    this.codec = options.accumulator ?? json();
    this.stateVersion = options.stateVersion ?? 1;
  }

  get writesValues() {
    return true;
  }

  get readsValues() {
    return this.options.readsValues ?? false;
  }

  accumulate(accumulators, groups, batch) {
    const { cells, rounded, keys, values } = this.open(batch);
    const context = new Context(batch, keys, values, this.settings);
    const all = new Accumulators(new BinaryColumn(accumulators), this.codec);
    const rejects = [];
    for (let row = 0; row < groups.length; row += 1) {
      context.at = row;
      const refuse = (reason) => rejects.push({ row, reason });
      if (rounded.has(row)) refuse(rounded.get(row));
      else {
        const add = (state) => this.options.add(state, this.row(cells, row), context);
        orReject(() => all.change(groups[row], add), refuse);
      }
    }
    return { accumulators: all.column(), rejects };
  }

  merge(accumulators, groups, count) {
    const from = new Accumulators(new BinaryColumn(accumulators), this.codec);
    const merged = new Array(count);
    groups.forEach((group, at) => {
      const state = from.load(at);
      merged[group] = merged[group] === undefined ? state : (this.options.merge(merged[group], state) ?? merged[group]);
    });
    return columnOf(merged.map((state) => byteString(this.codec.encode(state))));
  }

  finish(fired) {
    const all = new Accumulators(new BinaryColumn(fired.accumulators), this.codec);
    const keys = new BinaryColumn(fired.keys);
    const [origins, values, rejects] = [[], [], []];
    for (let at = 0; at < fired.starts.length; at += 1) {
      const window = new Window(fired, keys, at, this.settings);
      orReject(
        () => {
          for (const result of results(this.options.finish(all.load(at), window))) {
            values.push(result);
            origins.push(at);
          }
        },
        (reason) => rejects.push({ row: at, reason }),
      );
    }
    const isWhole = origins.length === fired.starts.length && origins.every((origin, at) => origin === at);
    return { origins: isWhole ? undefined : origins, values: columnOf(values), rejects };
  }

  migrate(fromVersion, accumulators) {
    return migrate(new BinaryColumn(accumulators), fromVersion, this.options.migrations, this.codec);
  }
}

/** Everything about a window that fires. */
class Window {
  #keys;
  #at;

  constructor(fired, keys, at, settings) {
    this.start = fired.starts[at];
    this.end = fired.ends[at];
    this.pane = fired.panes[at];
    this.isLate = this.pane === 'late';
    this.settings = settings;
    this.#keys = keys;
    this.#at = at;
  }

  get key() {
    return this.#keys.text(this.#at);
  }

  get keyBytes() {
    return this.#keys.bytes(this.#at);
  }
}

/** Accumulators of a call: decoded when first needed, written back if they were. */
class Accumulators {
  #column;
  #codec;
  #states;

  constructor(column, codec) {
    this.#column = column;
    this.#codec = codec;
    this.#states = new Array(column.length);
  }

  load(at) {
    this.#states[at] ??= this.#column.isEmpty(at) ? this.#codec.fresh() : this.#codec.decode(this.#column.bytes(at));
    return this.#states[at];
  }

  /** `work` changes the accumulator in place, or returns a new one. */
  change(at, work) {
    const state = this.load(at);
    this.#states[at] = work(state) ?? state;
  }

  column() {
    const encoded = (_, at) => {
      const isKept = this.#states[at] === undefined && !this.#column.isEmpty(at);
      return isKept ? this.#column.byteString(at) : byteString(this.#codec.encode(this.load(at)));
    };
    return columnOf(Array.from(this.#states, encoded));
  }
}

function results(returned) {
  if (returned === undefined || returned === null || returned === false) return [];
  const all = Array.isArray(returned) ? returned : [returned];
  return all.map((result) => {
    if (!(result instanceof Emit)) return valueOf(result);
    if (result.value === undefined || result.key !== undefined || result.time !== undefined || result.to !== undefined) {
      throw new TypeError('finish: a result has a value; its key and time are those of the window');
    }
    return valueOf(result.value);
  });
}
