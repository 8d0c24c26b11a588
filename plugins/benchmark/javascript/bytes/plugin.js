// What `cell-key` does, from the bytes of each trip.

import { emit, transform } from 'wasmill';

export default transform({ fields: {}, readsValues: true, writesValues: false }, (row, context) => {
  const { pickup_longitude, pickup_latitude } = context.json();
  return emit({ key: `${Math.floor(pickup_longitude * 100)}|${Math.floor(pickup_latitude * 100)}` });
});
