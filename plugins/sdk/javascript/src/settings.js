// Settings: a plugin declares them with a JSON Schema, and `configure` checks the job file's against it. An error names the
// setting and says what was expected. Understood: type, default, enum, const, the limits of numbers, texts and arrays,
// pattern, items, properties, required.

const CHECKS = {
  minimum: ['number', (value, limit) => value >= limit, 'at least'],
  maximum: ['number', (value, limit) => value <= limit, 'at most'],
  exclusiveMinimum: ['number', (value, limit) => value > limit, 'more than'],
  exclusiveMaximum: ['number', (value, limit) => value < limit, 'less than'],
  multipleOf: ['number', (value, step) => value % step === 0, 'a multiple of'],
  minLength: ['string', (value, limit) => [...value].length >= limit, 'a text of at least', 'characters'],
  maxLength: ['string', (value, limit) => [...value].length <= limit, 'a text of at most', 'characters'],
  pattern: ['string', (value, pattern) => new RegExp(pattern, 'u').test(value), 'a text that matches'],
  minItems: ['array', (value, limit) => value.length >= limit, 'at least', 'items'],
  maxItems: ['array', (value, limit) => value.length <= limit, 'at most', 'items'],
};

const UNCHECKED = ['type', 'default', 'enum', 'const', 'items', 'properties', 'required', 'additionalProperties'];
const WORDS = ['title', 'description', 'examples', '$schema', '$id', '$comment'];

/** The schema of settings that are given as a schema of an object, or as the schemas of its members. */
export function schemaOf(settings = {}) {
  const isWhole = settings.type === 'object';
  const properties = isWhole ? (settings.properties ?? {}) : settings;
  const required = Object.keys(properties).filter((name) => !('default' in properties[name]));
  const schema = isWhole
    ? { additionalProperties: false, ...settings }
    : { type: 'object', properties, required, additionalProperties: false };
  declared(schema, 'settings');
  return schema;
}

/** Refuses a schema with words that would not be checked: a limit that silently does nothing is worse than none. */
function declared(schema, place) {
  if (typeof schema !== 'object' || schema === null) throw new TypeError(`${place}: expected a JSON Schema`);
  for (const word of Object.keys(schema)) {
    if (!(word in CHECKS) && !UNCHECKED.includes(word) && !WORDS.includes(word)) {
      throw new TypeError(`${place}: "${word}" is not among the parts of JSON Schema that settings may use`);
    }
  }
  for (const [name, part] of Object.entries(schema.properties ?? {})) declared(part, `${place}.${name}`);
  if (schema.items !== undefined) declared(schema.items, `${place}[]`);
}

/** Reads settings from their JSON text. What is left out gets its default. */
export function parseSettings(text, schema) {
  return check(text === '' ? {} : JSON.parse(text), schema, '');
}

function check(value, schema, path) {
  const fail = (expected) => {
    const where = path === '' ? 'settings' : `setting "${path}"`;
    throw new TypeError(`${where}: expected ${expected}, found ${JSON.stringify(value)}`);
  };
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((type) => hasType(value, type))) fail(types.map(article).join(' or '));
  if (schema.enum && !schema.enum.some((one) => isEqual(one, value))) {
    fail(schema.enum.map((one) => JSON.stringify(one)).join(' or '));
  }
  if ('const' in schema && !isEqual(schema.const, value)) fail(JSON.stringify(schema.const));
  for (const [word, [type, holds, ...words]] of Object.entries(CHECKS)) {
    if (word in schema && hasType(value, type) && !holds(value, schema[word])) {
      fail([words[0], schema[word], ...words.slice(1)].join(' '));
    }
  }
  if (Array.isArray(value) && schema.items) return value.map((item, at) => check(item, schema.items, `${path}[${at}]`));
  return hasType(value, 'object') ? checkMembers(value, schema, path) : value;
}

function checkMembers(value, schema, path) {
  const place = (name) => (path === '' ? name : `${path}.${name}`);
  const properties = schema.properties ?? {};
  const known = Object.keys(properties);
  const checked = {};
  for (const name of Object.keys(value).sort()) {
    if (Object.hasOwn(properties, name)) checked[name] = check(value[name], properties[name], place(name));
    else if (schema.additionalProperties === false) throw new TypeError(unknown(name, place(name), known));
    else checked[name] = value[name];
  }
  for (const name of known) {
    if (name in checked) continue;
    if ('default' in properties[name]) checked[name] = properties[name].default;
    else if (schema.required?.includes(name)) {
      throw new TypeError(`setting "${place(name)}" is missing: expected ${article(properties[name].type)}`);
    }
  }
  return checked;
}

function unknown(name, place, known) {
  if (known.length === 0) return `unknown setting "${place}", expected none`;
  const [best] = known.map((other) => [distance(name, other), other]).sort(([one], [other]) => one - other);
  const hint = best[0] <= Math.max(1, Math.floor(name.length / 3)) ? `; did you mean "${best[1]}"?` : '';
  return `unknown setting "${place}", expected ${known.join(', ')}${name.length > 1 ? hint : ''}`;
}

/** Levenshtein's distance. */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [at, letter] of [...one].entries()) {
    const next = [at + 1];
    for (let to = 0; to < other.length; to += 1) {
      next.push(Math.min(next[to] + 1, row[to + 1] + 1, row[to] + (letter === other[to] ? 0 : 1)));
    }
    row = next;
  }
  return row[other.length];
}

function hasType(value, type) {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'array') return Array.isArray(value);
  if (type === 'null') return value === null;
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type;
}

function article(type) {
  if (type === undefined) return 'a value';
  if (type === 'null') return 'null';
  return /^[aeio]/.test(type) ? `an ${type}` : `a ${type}`;
}

function isEqual(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
