// The second argument of a plugin's functions: what there is to know about the row at hand besides its fields.

import { decode } from './text.js';

/** One object per call; it looks at the row whose number is in `at`. */
export class Context {
  constructor(batch, keys, values, settings) {
    this.settings = settings;
    this.at = 0;
    this.times = batch.times;
    this.keys = keys;
    this.values = values;
  }

  /** The row's event time, in milliseconds since 1970. */
  get time() {
    return this.times[this.at];
  }

  /** Its key as text, or `undefined` if no earlier step has set one. */
  get key() {
    return this.keys?.text(this.keyNumber);
  }

  /** Its key as bytes. */
  get keyBytes() {
    return this.keys?.bytes(this.keyNumber);
  }

  get keyNumber() {
    return this.at;
  }

  /** Its raw value as bytes. */
  get bytes() {
    return this.#values().bytes(this.at);
  }

  /** Its raw value as text. */
  get text() {
    return decode(this.#values().byteString(this.at));
  }

  /** Its raw value, parsed: slower than a declared field. */
  json() {
    return JSON.parse(this.text);
  }

  #values() {
    if (this.values === undefined) throw new TypeError('the raw value is not there: declare readsValues: true');
    return this.values;
  }
}
