// What `cell-key` does, from the same fields.

import { emit, transform } from 'wasmill';

export default transform(
  {
    fields: { longitude: '/pickup_longitude: f64', latitude: '/pickup_latitude: f64' },
    readsValues: false,
    writesValues: false,
  },
  ({ longitude, latitude }) => emit({ key: `${Math.floor(longitude * 100)}|${Math.floor(latitude * 100)}` }),
);
