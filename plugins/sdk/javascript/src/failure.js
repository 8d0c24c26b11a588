// How a plugin says that something is wrong: with a row, with this call, or with itself. Any other exception fails the call;
// its stack is logged, and the host finds the rows that cause it.

/** Refuses the row at hand (or, in `finish`, the accumulator): it leaves the pipeline with this reason, the others go on. */
export class Reject extends Error {}

/** The call may succeed if it is made again. */
export class Retry extends Error {}

/** The plugin cannot work, whatever the rows: the job stops. */
export class Fatal extends Error {}

Reject.prototype.name = 'Reject';
Retry.prototype.name = 'Retry';
Fatal.prototype.name = 'Fatal';

/** What is thrown, with its stack as far as it is the plugin's. */
export function describe(error) {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  const lines = String(error.stack ?? '').trimEnd().split('\n');
  const sdk = lines.findIndex((line, at) => at > 0 && line.includes('/node_modules/wasmill/'));
  const stack = lines.slice(0, sdk < 0 ? undefined : sdk).join('\n');
  const headline = `${error.name}: ${error.message}`;
  // QuickJS leaves the message out of the stack, other engines put it in front.
  return stack.startsWith(headline) || stack === '' ? stack || headline : `${headline}\n${stack}`;
}
