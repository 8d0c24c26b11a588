// There is no clock in a component, and asking for it would trap without a word. This makes it an error that says what to do.

function refuse() {
  throw new Error('a plugin has no clock: use context.time, or window.end');
}

/** Replaces what reads the clock. Dates made from something still work. */
export function removeClock() {
  globalThis.Date = new Proxy(Date, {
    construct: (date, args, target) => (args.length === 0 ? refuse() : Reflect.construct(date, args, target)),
    apply: refuse,
    get: (date, name) => (name === 'now' ? refuse : date[name]),
  });
  delete globalThis.performance;
}
