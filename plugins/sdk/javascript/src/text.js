// Text and bytes. QuickJS has no TextDecoder, and a loop over bytes is slow in an interpreter, so bytes are handled as
// "byte strings": strings whose characters are all below 256, one per byte. Engines convert, join and cut those natively.

const toBase64 = Uint8Array.prototype.toBase64;
const fromBase64 = Uint8Array.fromBase64;
const CHUNK = 8192;

/** The byte string of bytes. */
export function byteString(bytes) {
  if (toBase64) return atob(bytes.toBase64());
  let text = '';
  for (let at = 0; at < bytes.length; at += CHUNK) text += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  return text;
}

/** The bytes of a byte string. */
export function bytesOf(byteString) {
  if (fromBase64) return fromBase64.call(Uint8Array, btoa(byteString));
  const bytes = new Uint8Array(byteString.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = byteString.charCodeAt(at);
  return bytes;
}

/** The UTF-8 of a text, as a byte string. Halves of surrogate pairs that stand alone become U+FFFD. */
export function encode(text) {
  return unescape(encodeURIComponent(text.isWellFormed() ? text : text.toWellFormed()));
}

/** The text of UTF-8 in a byte string. What is not UTF-8 becomes U+FFFD. */
export function decode(byteString) {
  try {
    return decodeURIComponent(escape(byteString));
  } catch {
    return decodeLossily(byteString);
  }
}

// A well-formed sequence of several bytes, by the table of the Unicode standard.
const SEQUENCE =
  /[\xc2-\xdf][\x80-\xbf]|(?:\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]|\xed[\x80-\x9f])[\x80-\xbf]|(?:\xf0[\x90-\xbf]|[\xf1-\xf3][\x80-\xbf]|\xf4[\x80-\x8f])[\x80-\xbf]{2}/;
// The beginning of one that is cut short: it is replaced as a whole.
const TRUNCATED =
  /(?:\xf0[\x90-\xbf]|[\xf1-\xf3][\x80-\xbf]|\xf4[\x80-\x8f])[\x80-\xbf]|\xf0[\x90-\xbf]|[\xf1-\xf3][\x80-\xbf]|\xf4[\x80-\x8f]|\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]|\xed[\x80-\x9f]/;
const NOT_ASCII = new RegExp(`${SEQUENCE.source}|${TRUNCATED.source}|[\\x80-\\xff]`, 'g');
const WHOLE = new RegExp(`^(?:${SEQUENCE.source})$`);

function decodeLossily(byteString) {
  return byteString.replace(NOT_ASCII, (found) => (WHOLE.test(found) ? decodeURIComponent(escape(found)) : '\ufffd'));
}
