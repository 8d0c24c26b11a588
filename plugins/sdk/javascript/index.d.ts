/** Types of the module `wasmill`. Rows are typed by their declarations: `{ id: 's64', name: '/user/name: string?' }`. */

type TypeOf<Name extends string> =
  Name extends `${infer Bare}?` ? TypeOf<Bare> | undefined
  : Name extends `time(${string})` ? number
  : Name extends 's64' | 'f64' | 'time' ? number
  : Name extends 'bool' ? boolean
  : Name extends 'string' ? string
  : never;
type Cell<Declaration extends string> = Declaration extends `${string}: ${infer Name}` ? TypeOf<Name> : TypeOf<Declaration>;

/** Fields by name: a JSON pointer and a type, or a type alone for the member of that name. */
export type Fields = Record<string, string>;
/** A row: its declared fields. Times are milliseconds since 1970. */
export type Row<F extends Fields> = { [Name in keyof F]: Cell<F[Name]> };

/** A JSON Schema, as far as settings are checked with it. */
export type Schema = { type?: string | string[]; default?: unknown; [word: string]: unknown };
/** Settings after `configure` has checked them. */
export type Settings = Record<string, any>;

export type Key = string | Uint8Array | number | bigint | (string | Uint8Array | number | bigint)[];

/** What is known about the row at hand besides its fields. Valid during the call. */
export interface Context<S = Settings> {
  readonly settings: S;
  /** Event time in milliseconds since 1970. */
  readonly time: number;
  readonly key: string | undefined;
  readonly keyBytes: Uint8Array | undefined;
  /** The raw value; these three need `readsValues`. */
  readonly bytes: Uint8Array;
  readonly text: string;
  json(): any;
}

/** In a process: the key is there, and has a state and timers. */
export interface KeyContext<T, S = Settings> extends Context<S> {
  readonly key: string;
  readonly keyBytes: Uint8Array;
  /** No row earlier than this is expected any more. */
  readonly watermark: number;
  /** `undefined`: none. Changes in place are kept; assign `undefined` to forget it. */
  state: T | undefined;
  freshState(): T;
  setTimer(time: number): void;
  clearTimer(time: number): void;
}

export class Emit {
  private constructor();
}
/** A row to emit. What is left out stays as in the row that it came from; `to` names a side output. */
export function emit(parts?: { key?: Key; time?: number; value?: unknown; to?: string }): Emit;

type Kept = undefined | null | void | boolean | Emit | object | string;
/** Nothing or false drops the row, true keeps it, an object is its new value, an array is several rows. */
export type Returned = Kept | Kept[];

/** Refuses the row at hand with a reason; the others go on. */
export class Reject extends Error {}
/** The call may succeed if it is made again. */
export class Retry extends Error {}
/** The plugin cannot work, whatever the rows: the job stops. */
export class Fatal extends Error {}

export const log: Record<'debug' | 'info' | 'warn' | 'error', (message: unknown) => void>;
export const metrics: {
  count(name: string, by?: number): void;
  gauge(name: string, value: number): void;
  observe(name: string, value: number): void;
  /** Under Node: what was counted, set and observed. */
  readonly seen: Map<string, number | number[]>;
};

/** Makes, writes and reads accumulators or states. */
export interface Codec<T> {
  fresh(): T;
  encode(state: T): Uint8Array;
  decode(bytes: Uint8Array): T;
}
/** Any JSON value; the default. */
export function json<T = any>(fresh?: () => T): Codec<T>;
/** Numbers at fixed places, little-endian. Whole numbers beyond 2^53 are read as BigInt. */
export function packed<M extends Record<string, 's64' | 'f64' | 'bool'>>(
  members: M,
  fresh?: Partial<Record<keyof M, number | bigint | boolean>>,
): Codec<{ [Name in keyof M]: M[Name] extends 'bool' ? boolean : number }>;

/** The parts of a key that was made from an array. */
export function keyParts(key: string): string[];

interface Options<F extends Fields, S> {
  fields?: F;
  /** The schemas of the settings by name, or a schema of an object. Without a default a setting is required. */
  settings?: Record<string, Schema> | Schema;
  /** Makes something handier of the checked settings, or throws with what is wrong with them. */
  prepare?(settings: any): S;
  /** Whether the raw values are needed. */
  readsValues?: boolean;
}
interface Emitting {
  /** Names, or names with whether their rows have values of their own. */
  sideOutputs?: string[] | Record<string, boolean>;
  /** False: rows keep their bytes, which spares copying them. */
  writesValues?: boolean;
}
interface Stateful<T> {
  /** Raise it when the layout of the bytes changes. */
  stateVersion?: number;
  /** How to read the bytes of older versions. */
  migrations?: Record<number, (bytes: Uint8Array) => T>;
}

export interface Plugin {
  readonly kind: 'transform' | 'aggregator' | 'process';
}

export function transform<const F extends Fields, S = Settings>(
  options: Options<F, S> & Emitting,
  logic: (row: Row<F>, context: Context<S>) => Returned,
): Plugin;

/** A column of bytes as it crosses the boundary. */
export interface BinaryColumn {
  readonly length: number;
  bytes(row: number): Uint8Array;
  text(row: number): string;
  texts(): string[];
}
export interface Batch<F extends Fields> {
  readonly length: number;
  readonly times: number[];
  readonly keys: BinaryColumn | undefined;
  readonly values: BinaryColumn | undefined;
  readonly columns: { [Name in keyof F]: Cell<F[Name]>[] };
}
export interface Columns {
  origins?: number[];
  times?: number[];
  keys?: BinaryColumn | Key[];
  values?: BinaryColumn | unknown[];
}

/** Works on whole batches. Whole numbers beyond 2^53 arrive rounded here: declare such ids as text. */
export function transformBatch<const F extends Fields, S = Settings>(
  options: Options<F, S> & Emitting,
  logic: (
    batch: Batch<F>,
    settings: S,
  ) => Columns & { sides?: Record<string, Columns>; rejects?: { row: number; reason: string }[] },
): Plugin;

export interface Window<S = Settings> {
  readonly start: number;
  readonly end: number;
  readonly pane: 'on-time' | 'late';
  /** Rows that came late have changed the window after it had fired. */
  readonly isLate: boolean;
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly settings: S;
}

export function aggregator<const F extends Fields, T, S = Settings>(
  options: Options<F, S> &
    Stateful<T> & {
      accumulator?: Codec<T>;
      /** Adds a row: changes the accumulator in place, or returns a new one. Refuse before changing. */
      add(accumulator: T, row: Row<F>, context: Context<S>): T | void;
      merge(into: T, from: T): T | void;
      /** Nothing, a result, or an array of results. */
      finish(accumulator: T, window: Window<S>): unknown;
    },
): Plugin;

export function process<const F extends Fields, T, S = Settings>(
  options: Options<F, S> &
    Emitting &
    Stateful<T> & {
      state?: Codec<T>;
      row(row: Row<F>, context: KeyContext<T, S>): Returned;
      timer?(time: number, context: KeyContext<T, S>): Returned;
    },
): Plugin;
