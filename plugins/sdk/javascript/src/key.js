// Keys: rows with equal bytes belong together. They are readable text; parts of an array are joined by `|` and escaped so
// that different arrays give different keys, in every SDK alike.

import { byteString, encode } from './text.js';

/** The byte string of a key. */
export function keyOf(key) {
  if (typeof key === 'string') return encode(key);
  if (key instanceof Uint8Array) return byteString(key);
  if (Array.isArray(key)) return key.map(partOf).join('|');
  if (Number.isSafeInteger(key) || typeof key === 'bigint') return String(key);
  throw new TypeError(`a key is text, bytes, an integer, or an array of these; found ${shown(key)}`);
}

function partOf(part) {
  if (Array.isArray(part)) throw new TypeError('a part of a key cannot be an array');
  return keyOf(part).replace(/[|\\]/g, '\\$&');
}

/** The parts of a key that was made from an array, as texts. */
export function keyParts(key) {
  const parts = [''];
  for (const [piece] of key.matchAll(/\\.?|[^\\]/gsu)) {
    if (piece === '|') parts.push('');
    else parts[parts.length - 1] += piece.length > 1 && piece[0] === '\\' ? piece.slice(1) : piece;
  }
  return parts;
}

function shown(value) {
  return typeof value === 'number' ? String(value) : value === null ? 'null' : typeof value;
}
