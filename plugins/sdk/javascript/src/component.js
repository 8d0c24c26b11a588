// From a plugin to the exports of a component. `wasmill build` calls this from the entry module that it writes.

import { removeClock } from './clock.js';
import { Fatal, Retry, describe } from './failure.js';
import { attach, beginCall, endCall, log } from './host.js';

const INTERFACES = {
  transform: ['transformer', ['transform']],
  aggregator: ['aggregation', ['accumulate', 'merge', 'finish']],
  process: ['processing', ['process']],
};

/** The exports of the world `kind`. `about` is name and version, `imports` what the component imports. */
export function component(plugin, kind, about, imports) {
  if (plugin?.kind === undefined) {
    throw new TypeError('the module exports no plugin; write: export default transform(…), aggregator(…) or process(…)');
  }
  if (plugin.kind !== kind) {
    throw new TypeError(`package.json says kind "${kind}", but the module exports ${plugin.kind}(…); make them agree`);
  }
  removeClock();
  attach({ log: imports.log.log, ...pick(imports.metrics) });
  const [name, functions] = INTERFACES[kind];
  return {
    lifecycle: {
      describe: () => plugin.describe(about),
      configure: (settings) => configured(plugin, settings),
      migrate: (fromVersion, states) => guarded(() => plugin.migrate(fromVersion, states)),
    },
    [name]: Object.fromEntries(functions.map((one) => [one, (...args) => guarded(() => plugin[one](...args))])),
  };
}

function pick({ count, gauge, observe }) {
  return { count, gauge, observe };
}

/** The error of `configure` is a text. Only mistakes of the plugin itself are worth a stack. */
function configured(plugin, settings) {
  try {
    return plugin.configure(settings);
  } catch (error) {
    if (!(error instanceof Error)) throw String(error);
    throw error.message;
  }
}

/** Runs a call. An exception that is no failure of the contract is logged with its stack and traps. */
function guarded(work) {
  beginCall();
  let result;
  try {
    result = work();
  } catch (error) {
    if (error instanceof Retry) throw { tag: 'retry', val: error.message };
    if (error instanceof Fatal) throw { tag: 'fatal', val: error.message };
    log.error(describe(error));
    throw error;
  }
  endCall();
  return result;
}
