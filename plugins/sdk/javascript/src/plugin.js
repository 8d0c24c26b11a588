// What the three kinds of plugin have in common: the options, the description, the needs, and going through the rows.

import { BinaryColumn } from './binary.js';
import { parseSides } from './emit.js';
import { Reject } from './failure.js';
import { cellsOf, parseFields, roundedRows, rowMaker } from './fields.js';
import { parseSettings, schemaOf } from './settings.js';

/** A plugin before it is a component. `options` are what the author has written. */
export class Plugin {
  constructor(kind, options, known) {
    for (const name of Object.keys(options)) {
      if (!known.includes(name)) throw new TypeError(`${kind}: unknown option "${name}", expected ${known.join(', ')}`);
    }
    this.kind = kind;
    this.options = options;
    this.schema = schemaOf(options.settings);
    this.fields = parseFields(options.fields);
    this.sides = parseSides(options.sideOutputs);
    this.row = rowMaker(this.fields);
    this.stateVersion = 0;
    this.settings = undefined;
  }

  describe({ name, version }) {
    return { name, version, settings: JSON.stringify(this.schema), stateVersion: this.stateVersion };
  }

  /** Takes the settings; `prepare` of the options may turn them into something handier, or refuse them. */
  configure(text) {
    const settings = parseSettings(text, this.schema);
    this.settings = this.options.prepare ? this.options.prepare(settings) : settings;
    return {
      fields: this.fields.map(({ declaration }) => declaration),
      readsValues: this.readsValues,
      writesValues: this.writesValues,
      sideOutputs: this.sides,
    };
  }

  /** Whether outputs have values of their own. Unless told, they do; rows that are kept get their old ones. */
  get writesValues() {
    return this.options.writesValues ?? true;
  }

  get readsValues() {
    return this.options.readsValues ?? (this.writesValues || this.sides.some((side) => side.writesValues));
  }

  /** What every call needs of a batch. */
  open(batch) {
    const cells = cellsOf(batch, this.fields);
    const column = (binary) => (binary === null || binary === undefined ? undefined : new BinaryColumn(binary));
    return { cells, rounded: roundedRows(cells, this.fields), keys: column(batch.keys), values: column(batch.values) };
  }
}

/** Calls `work` for a row, and `refuse` with the reason if it is refused. */
export function orReject(work, refuse) {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Reject)) throw error;
    refuse(error.message);
  }
}

/** What stays of a row in the columns of an output. */
export function inputOf(batch, keys, values) {
  return {
    time: (row) => batch.times[row],
    key: (row) => keys?.byteString(row) ?? '',
    value: (row) => {
      if (values === undefined) throw new TypeError('a row without a value of its own: give one, or declare readsValues: true');
      return values.byteString(row);
    },
  };
}
