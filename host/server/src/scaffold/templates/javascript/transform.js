// Keeps the requests that failed or were slow, and keys them by service.

import { Reject, emit, transform } from 'wasmill';

export default transform(
  {
    fields: { service: '/service: string', status: '/status: s64', millis: '/millis: s64' },
    settings: { slow_ms: { type: 'integer', minimum: 1, default: 500 } },
    writesValues: false,
  },
  ({ service, status, millis }, { settings }) => {
    if (millis < 0) throw new Reject('negative duration');
    const isTroubled = status >= 500 || millis >= settings.slow_ms;
    return isTroubled && emit({ key: service });
  },
);
