// What a plugin returns for a row, and the columns that become of it.

import { columnOf, valueOf } from './binary.js';
import { keyOf } from './key.js';

const PARTS = ['key', 'time', 'value', 'to'];

/** A row to emit. What is left out stays as in the row that it came from. */
export class Emit {
  constructor(parts) {
    for (const name of Object.keys(parts)) {
      if (!PARTS.includes(name)) throw new TypeError(`emit: unknown part "${name}", expected ${PARTS.join(', ')}`);
    }
    this.key = parts.key;
    this.time = parts.time;
    this.value = parts.value;
    this.to = parts.to;
  }
}

/** A row to emit: `emit({ key, time, value, to })`, each optional. `to` names a side output. */
export function emit(parts = {}) {
  return new Emit(parts);
}

/** Reads `['name']`, or `{ name: writesValues }`. */
export function parseSides(sides = []) {
  const entries = Array.isArray(sides) ? sides.map((name) => [name, true]) : Object.entries(sides);
  return entries.map(([name, writesValues]) => {
    if (!/^[A-Za-z0-9_-]+$/.test(name) || name === 'late') {
      throw new TypeError(`side output "${name}": expected letters, digits, "_" and "-", and not "late"`);
    }
    return { name, writesValues: Boolean(writesValues) };
  });
}

/** Takes what a plugin returns, row by row, and makes the columns of all outputs. */
export class Writer {
  /** `input` gives what a row has if the plugin leaves it out: `time(origin)`, `key(origin)`, `value(origin)`. */
  constructor(writesValues, sides, input) {
    this.rejects = [];
    this.input = input;
    this.main = new Output('the main output', writesValues);
    this.sides = sides.map((side) => new Output(`side output "${side.name}"`, side.writesValues));
    this.byName = new Map(sides.map((side, at) => [side.name, this.sides[at]]));
  }

  reject(row, reason) {
    this.rejects.push({ row, reason });
  }

  /**
   * Adds what was returned for `origin`: nothing, `true`, a value, an `Emit`, or an array of these. `time` is that of
   * rows that have none to keep, those of a timer.
   */
  add(origin, returned, time) {
    if (returned === undefined || returned === null || returned === false) return;
    if (returned instanceof Emit) this.#emit(origin, returned, time);
    else if (Array.isArray(returned)) for (const one of returned) this.add(origin, one, time);
    else if (returned === true) this.main.push(origin, undefined, time);
    else if (typeof returned === 'object' || typeof returned === 'string') this.main.push(origin, undefined, time, returned);
    else throw new TypeError(`returned a ${typeof returned}; expected nothing, true, an object, a text, emit(…) or an array`);
  }

  #emit(origin, { key, time, value, to }, otherwise) {
    const output = to === undefined ? this.main : this.byName.get(to);
    if (output === undefined) {
      throw new TypeError(`emit: no side output "${to}"; declared are: ${[...this.byName.keys()].join(', ') || 'none'}`);
    }
    output.push(origin, key, time ?? otherwise, value);
  }

  /** The columns for the host. */
  finish(rows) {
    const sides = this.sides.map((output, side) => ({ side, output })).filter(({ output }) => output.origins.length > 0);
    return {
      main: this.main.columns(this.input, rows),
      sides: sides.map(({ side, output }) => ({ side, rows: output.columns(this.input) })),
      rejects: this.rejects.sort((one, other) => one.row - other.row),
    };
  }
}

/** The rows of one output. */
class Output {
  origins = [];
  #keys = [];
  #times = [];
  #values = [];
  #sets = { keys: false, times: false };

  constructor(name, writesValues) {
    this.name = name;
    this.writesValues = writesValues;
  }

  push(origin, key, time, value) {
    if (value !== undefined) {
      if (!this.writesValues) throw new TypeError(`${this.name} is declared to keep the bytes of its rows, but got a value`);
      value = valueOf(value);
    }
    if (time !== undefined && !Number.isSafeInteger(time)) {
      throw new TypeError(`a time is a whole number of milliseconds, found ${typeof time === 'number' ? time : typeof time}`);
    }
    if (key !== undefined) {
      key = keyOf(key);
      this.#sets.keys = true;
    }
    if (time !== undefined) this.#sets.times = true;
    this.origins.push(origin);
    this.#keys.push(key);
    this.#times.push(time);
    this.#values.push(value);
  }

  /** `rows`: how many input rows there were, if all of them in order need no origins. */
  columns(input, rows = -1) {
    const origins = this.origins;
    const fill = (cells, instead) => cells.map((cell, at) => (cell === undefined ? instead(origins[at]) : cell));
    return {
      origins: origins.length === rows && origins.every((origin, at) => origin === at) ? undefined : origins,
      times: this.#sets.times ? fill(this.#times, input.time) : undefined,
      keys: this.#sets.keys ? columnOf(fill(this.#keys, input.key)) : undefined,
      values: this.writesValues ? columnOf(fill(this.#values, input.value)) : undefined,
    };
  }
}
