// The fields that a plugin wants: how they are declared to the host, and how columns become the fields of row objects.

import { BinaryColumn } from './binary.js';

const TYPES = ['bool', 's64', 'f64', 'string', 'time'];

/** Reads `{ name: '/pointer: type' }`; `{ name: 'type' }` is short for the member of that name. */
export function parseFields(fields = {}) {
  return Object.entries(fields).map(([name, text]) => {
    const [, pointer, type, optional] =
      /^(?:(.*):)?\s*([a-z0-9]+)(?:\([^)]*\))?(\?)?\s*$/s.exec(String(text)) ?? [];
    if (!TYPES.includes(type)) {
      throw new TypeError(`field "${name}": expected a declaration such as "/${name}: s64?", found ${JSON.stringify(text)}`);
    }
    const declaration = pointer === undefined ? `/${pointerOf(name)}: ${String(text).trim()}` : String(text);
    return { name, type, isOptional: optional === '?', declaration };
  });
}

function pointerOf(name) {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Makes the function that gives the row object of a number, from the columns of a batch. */
export function rowMaker(fields) {
  const members = fields.map(({ name }, at) => `${JSON.stringify(name)}: c[${at}][row]`).join(', ');
  // Generated once per instance: an object literal is several times faster than a loop over names.
  return new Function('c', 'row', `return { ${members} };`);
}

/** The cells of the declared columns, each an array with `undefined` where a value is missing. */
export function cellsOf(batch, fields) {
  if (batch.fields.length !== fields.length) {
    throw new TypeError(`the host sent ${batch.fields.length} columns for ${fields.length} fields`);
  }
  return fields.map((field, at) => {
    const { cells, missing } = batch.fields[at];
    const values = cells.tag === 'strings' ? new BinaryColumn(cells.val).texts() : cells.val;
    for (const row of missing) values[row] = undefined;
    return values;
  });
}

/**
 * Why rows cannot be shown to JavaScript, by row number: whole numbers beyond 2^53 arrive rounded, and a wrong id is worse
 * than a refused row.
 */
export function roundedRows(cells, fields) {
  const reasons = new Map();
  fields.forEach((field, at) => {
    if (field.type !== 's64') return;
    const column = cells[at];
    for (let row = 0; row < column.length; row += 1) {
      const cell = column[row];
      if (cell > Number.MAX_SAFE_INTEGER || cell < Number.MIN_SAFE_INTEGER) {
        reasons.set(row, `${field.declaration}: about ${cell}, which JavaScript cannot hold exactly (beyond 2^53)`);
      }
    }
  });
  return reasons;
}
