// Keyed logic with state and event-time timers as a plugin.

import { BinaryColumn, columnOf } from './binary.js';
import { json, migrate } from './codec.js';
import { Context } from './context.js';
import { Writer } from './emit.js';
import { Fatal } from './failure.js';
import { Plugin, inputOf, orReject } from './plugin.js';
import { byteString } from './text.js';
import { Timers } from './timers.js';

const OPTIONS = [
  'fields', 'settings', 'prepare', 'sideOutputs', 'readsValues', 'writesValues', 'state', 'stateVersion', 'migrations',
  'row', 'timer',
];

/** A process from `row(row, context)` and `timer(time, context)`; both return what to emit. */
export function process(options) {
  if (typeof options.row !== 'function') throw new TypeError('process: expected a function "row"');
  return new Process(options);
}

class Process extends Plugin {
  constructor(options) {
    super('process', options, OPTIONS);
    this.codec = options.state ?? json();
    this.stateVersion = options.stateVersion ?? 1;
  }

  process(turn) {
    return new Turn(this, turn).run();
  }

  migrate(fromVersion, states) {
    return migrate(new BinaryColumn(states), fromVersion, this.options.migrations, this.codec);
  }
}

/** What `context` is in a process: it knows the key's state and timers too. */
class KeyContext extends Context {
  #states;
  #codec;
  #loaded = [];
  #times;

  constructor(turn, keys, values, plugin) {
    super(turn.batch, keys, values, plugin.settings);
    this.group = 0;
    /** No row earlier than this is expected any more. */
    this.watermark = turn.watermark;
    this.#states = new BinaryColumn(turn.states);
    this.#codec = plugin.codec;
    this.#times = new Timers(turn.keys.ends.length, turn.timers);
  }

  get keyNumber() {
    return this.group;
  }

  /** The state of the key; `undefined` if it has none. What is changed in place is kept. */
  get state() {
    if (!(this.group in this.#loaded)) {
      const isEmpty = this.#states.isEmpty(this.group);
      this.#loaded[this.group] = isEmpty ? undefined : this.#codec.decode(this.#states.bytes(this.group));
    }
    return this.#loaded[this.group];
  }

  set state(state) {
    this.#loaded[this.group] = state ?? undefined;
  }

  /** A fresh state, as the codec makes it. */
  freshState() {
    return this.#codec.fresh();
  }

  /** Sets a timer of the key. Setting it twice is the same as once. */
  setTimer(time) {
    if (!Number.isSafeInteger(time)) throw new TypeError(`setTimer: a time is a whole number of milliseconds, found ${time}`);
    this.#times.set(this.group, time);
  }

  /** Forgets a timer of the key, if there is one. */
  clearTimer(time) {
    this.#times.clear(this.group, time);
  }

  /** The next timer of the key up to and including `time`, which is then no longer pending. */
  takeTimer(time) {
    return this.#times.take(this.group, time);
  }

  results() {
    const encoded = (_, group) => {
      if (!(group in this.#loaded)) return this.#states.byteString(group);
      const state = this.#loaded[group];
      return state === undefined ? '' : byteString(this.#codec.encode(state));
    };
    return { states: columnOf(Array.from({ length: this.#states.length }, encoded)), timers: this.#times.columns() };
  }
}

/** One call. */
class Turn {
  constructor(plugin, turn) {
    const { cells, rounded, values } = plugin.open(turn.batch);
    const keys = new BinaryColumn(turn.keys);
    this.plugin = plugin;
    this.turn = turn;
    this.cells = cells;
    this.rounded = rounded;
    this.context = new KeyContext(turn, keys, values, plugin);
    this.rows = turn.batch.times.length;
    this.writer = new Writer(plugin.writesValues, plugin.sides, this.#input(keys, values));
  }

  /** A timer's origin is `rows + key number`: it has a key to keep, but no value. */
  #input(keys, values) {
    const { turn, rows } = this;
    const ofRows = inputOf(turn.batch, undefined, values);
    const group = (origin) => (origin < rows ? turn.groups[origin] : origin - rows);
    return {
      time: ofRows.time,
      key: (origin) => keys.byteString(group(origin)),
      value: (origin) => {
        if (origin >= rows) throw new TypeError('a timer has no row whose value could be kept: give a value');
        return ofRows.value(origin);
      },
    };
  }

  run() {
    const { groups, ordered, watermark, batch } = this.turn;
    for (let row = 0; row < this.rows; row += 1) {
      this.context.group = groups[row];
      if (ordered) this.#fire(batch.times[row]);
      this.context.at = row;
      this.#row(row);
    }
    for (let group = 0; group < this.turn.keys.ends.length; group += 1) {
      this.context.group = group;
      this.#fire(watermark);
    }
    return { ...this.context.results(), ...this.writer.finish(this.rows) };
  }

  #row(row) {
    const { plugin, writer, context } = this;
    if (this.rounded.has(row)) {
      writer.reject(row, this.rounded.get(row));
      return;
    }
    orReject(
      () => writer.add(row, plugin.options.row(plugin.row(this.cells, row), context)),
      (reason) => writer.reject(row, reason),
    );
  }

  #fire(until) {
    for (;;) {
      const time = this.context.takeTimer(until);
      if (time === undefined) return;
      if (this.plugin.options.timer === undefined) throw new Fatal('a timer was set, but the plugin has no function "timer"');
      this.writer.add(this.rows + this.context.group, this.plugin.options.timer(time, this.context), time);
    }
  }
}
