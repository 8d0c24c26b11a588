// Columns of byte strings as they cross the boundary: the ends of the items, and all their bytes in one piece.

import { byteString, bytesOf, decode, encode } from './text.js';

/** A column that the host has sent. It is converted once, when somebody looks at it. */
export class BinaryColumn {
  #bytes;
  #whole;

  constructor({ ends, bytes }) {
    this.ends = ends;
    this.#bytes = bytes;
  }

  get length() {
    return this.ends.length;
  }

  #range(row) {
    return [row === 0 ? 0 : this.ends[row - 1], this.ends[row]];
  }

  /** Item `row` as bytes, which are not copied. */
  bytes(row) {
    const [start, end] = this.#range(row);
    return this.#bytes.subarray(start, end);
  }

  /** Item `row` as a byte string. */
  byteString(row) {
    this.#whole ??= byteString(this.#bytes);
    const [start, end] = this.#range(row);
    return this.#whole.slice(start, end);
  }

  /** Item `row` as text. */
  text(row) {
    return decode(this.byteString(row));
  }

  /** Whether item `row` has no bytes. */
  isEmpty(row) {
    const [start, end] = this.#range(row);
    return start === end;
  }

  /** All items as texts. A column that is ASCII throughout is converted in one piece. */
  texts() {
    const whole = decode(this.byteStringOfAll());
    const isAscii = whole.length === this.#bytes.length;
    const texts = new Array(this.ends.length);
    let start = 0;
    for (let row = 0; row < texts.length; row += 1) {
      const end = this.ends[row];
      texts[row] = isAscii ? whole.slice(start, end) : decode(this.#whole.slice(start, end));
      start = end;
    }
    return texts;
  }

  byteStringOfAll() {
    this.#whole ??= byteString(this.#bytes);
    return this.#whole;
  }

  /** As the host has sent it. */
  raw() {
    return { ends: this.ends, bytes: this.#bytes };
  }
}

/** A column of these byte strings. */
export function columnOf(byteStrings) {
  const ends = new Array(byteStrings.length);
  let end = 0;
  for (let row = 0; row < ends.length; row += 1) {
    end += byteStrings[row].length;
    ends[row] = end;
  }
  return { ends, bytes: bytesOf(byteStrings.join('')) };
}

/** The byte string of what a plugin gives as a value: text or bytes as they are, anything else as JSON. */
export function valueOf(value) {
  if (value instanceof Uint8Array) return byteString(value);
  if (typeof value === 'string') return encode(value);
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`a value cannot be written as JSON: ${typeof value}`);
  return encode(text);
}
