// The module `wasmill`: everything that a plugin imports. What it does not hold is the way from a plugin to the exports of
// a component; `wasmill build` adds that from `src/component.js`.

export { aggregator } from './src/aggregator.js';
export { json, packed } from './src/codec.js';
export { Emit, emit } from './src/emit.js';
export { Fatal, Reject, Retry } from './src/failure.js';
export { log, metrics } from './src/host.js';
export { keyParts } from './src/key.js';
export { process } from './src/process.js';
export { transform, transformBatch } from './src/transform.js';
