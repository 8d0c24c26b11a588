// What a plugin may ask of the host: log lines and metrics. Inside a component `attach` connects them to the imports; in
// tests under Node they go to the console and into `metrics.seen`.

let imports = {
  log: (level, message) => console.error(`${level}: ${message}`),
  count: (name, by) => metrics.seen.set(name, (metrics.seen.get(name) ?? 0) + by),
  gauge: (name, value) => metrics.seen.set(name, value),
  observe: (name, value) => metrics.seen.set(name, [...(metrics.seen.get(name) ?? []), value]),
};

// Counters of the call at hand. They cross the boundary once per call, not once per row, and only if the call succeeds.
const counts = new Map();

/** Lines for the host's log, which adds job, step and plugin. */
export const log = {
  debug: (message) => imports.log('debug', String(message)),
  info: (message) => imports.log('info', String(message)),
  warn: (message) => imports.log('warn', String(message)),
  error: (message) => imports.log('error', String(message)),
};

/** Numbers about the plugin's work. */
export const metrics = {
  /** Under Node: what was counted, set and observed so far. */
  seen: new Map(),
  count(name, by = 1) {
    if (!Number.isSafeInteger(by) || by < 0) throw new RangeError(`metrics.count: expected a count, found ${by}`);
    counts.set(name, (counts.get(name) ?? 0) + by);
  },
  gauge: (name, value) => imports.gauge(name, Number(value)),
  observe: (name, value) => imports.observe(name, Number(value)),
};

/** Connects log and metrics to the imports of a component. */
export function attach(connected) {
  imports = connected;
}

/** Begins a call: what a failed one has counted is forgotten. */
export function beginCall() {
  counts.clear();
}

/** Ends a call that has succeeded. */
export function endCall() {
  for (const [name, by] of counts) imports.count(name, by);
  counts.clear();
}
