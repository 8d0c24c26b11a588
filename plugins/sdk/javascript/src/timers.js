// The pending timers of the keys of a call, each key's in the order of their times.

export class Timers {
  #byGroup;

  constructor(groups, { groups: owners, times }) {
    this.#byGroup = Array.from({ length: groups }, () => []);
    owners.forEach((group, at) => this.#byGroup[group].push(times[at]));
  }

  set(group, time) {
    const pending = this.#byGroup[group];
    let at = pending.length;
    while (at > 0 && pending[at - 1] > time) at -= 1;
    if (at === 0 || pending[at - 1] !== time) pending.splice(at, 0, time);
  }

  clear(group, time) {
    const pending = this.#byGroup[group];
    const at = pending.indexOf(time);
    if (at >= 0) pending.splice(at, 1);
  }

  take(group, until) {
    const pending = this.#byGroup[group];
    return pending.length > 0 && pending[0] <= until ? pending.shift() : undefined;
  }

  columns() {
    const groups = this.#byGroup.flatMap((pending, group) => pending.map(() => group));
    return { groups, times: this.#byGroup.flat() };
  }
}
