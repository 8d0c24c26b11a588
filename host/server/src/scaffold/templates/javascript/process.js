// Tells when a service falls silent, and when it is back.

import { packed, process } from 'wasmill';

const iso = (millis) => new Date(millis).toISOString();

export default process({
  settings: { after_seconds: { type: 'integer', minimum: 1, default: 300 } },
  prepare: ({ after_seconds }) => ({ after: after_seconds * 1000 }),
  readsValues: false,
  state: packed({ seen: 's64', silent: 'bool' }),

  row(_event, context) {
    const last = context.state;
    context.state = { seen: context.time, silent: false };
    context.setTimer(context.time + context.settings.after);
    return last?.silent && { service: context.key, now: 'back', last_seen: iso(last.seen) };
  },

  // Each row sets a timer; that of the last row finds that nothing has come since.
  timer(time, context) {
    const last = context.state;
    if (last.silent || last.seen + context.settings.after > time) return undefined;
    last.silent = true;
    return { service: context.key, now: 'silent', last_seen: iso(last.seen) };
  },
});
