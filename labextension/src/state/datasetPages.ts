import type { IGuardrailsApi, Scope } from '../api/client';
import type { Dataset, Datasets } from '../api/generated/openapi';

/** Datasets that are read at once: more than a panel shows, and little enough to be here at once. */
export const PAGE = 200;

interface IPage {
  rows: readonly Dataset[];
  /** Whether it was read since the list was known to be as it is. */
  fresh: boolean;
}

/** A list of datasets that may be long: the pages that were looked at, each read when it comes into sight. */
export class DatasetPages {
  constructor(private readonly api: IGuardrailsApi) {}

  /** How many datasets there are on all pages. */
  get total(): number {
    return this._total;
  }

  /** What the list answers; null before the first answer. */
  get key(): string | null {
    return this._key;
  }

  /** A dataset by its place in the list; undefined while its page is not here. */
  at(index: number): Dataset | undefined {
    return this._pages.get(Math.floor(index / PAGE))?.rows[index % PAGE];
  }

  /** The place of a dataset among those that are here; -1 where it isn't. */
  indexOf(name: string): number {
    for (const [number, { rows }] of this._pages) {
      const place = rows.findIndex(dataset => dataset.name === name);
      if (place >= 0) {
        return number * PAGE + place;
      }
    }
    return -1;
  }

  /** Those that are here, in their order. */
  get known(): readonly Dataset[] {
    const numbers = [...this._pages.keys()].sort((a, b) => a - b);
    return numbers.flatMap(number => this._pages.get(number)?.rows ?? []);
  }

  /** The places that can be seen from now on; whether a page of them has to be read. */
  look(first: number, last: number): boolean {
    this._first = first;
    this._last = last;
    return this.wanted().some(number => !this._pages.get(number)?.fresh && !this._asked.has(number));
  }

  /** No answer to an earlier question is of use any more. */
  abort(): void {
    this._reading?.abort();
  }

  /** Read what can be seen, all of it or what is missing; false where the question was taken back meanwhile. */
  async read(query: string, scope: Scope, missing: boolean): Promise<boolean> {
    const key = keyOf(query, scope);
    const wanted = key === this._key ? this.wanted() : [0];
    const numbers = wanted.filter(number => !missing || !this._pages.get(number)?.fresh);
    const { signal } = this.begin(numbers);
    try {
      const answers = await Promise.all(
        numbers.map(async number => ({ number, found: await this.page(number, query, scope, signal) }))
      );
      if (!signal.aborted) {
        this.take(key, answers, missing);
      }
      return !signal.aborted;
    } catch (reason) {
      if (signal.aborted) {
        return false;
      }
      throw reason;
    } finally {
      if (signal === this._reading?.signal) {
        this._asked.clear();
      }
    }
  }

  private begin(numbers: readonly number[]): AbortController {
    this.abort();
    this._asked = new Set(numbers);
    this._reading = new AbortController();
    return this._reading;
  }

  private page(number: number, query: string, scope: Scope, signal: AbortSignal): Promise<Datasets> {
    return this.api.datasets({ query, scope, offset: number * PAGE, limit: PAGE }, signal);
  }

  private take(key: string, answers: ReadonlyArray<{ number: number; found: Datasets }>, missing: boolean): void {
    if (key !== this._key) {
      this._pages.clear();
      this._key = key;
    }
    const moved = answers.some(({ found }) => found.total !== this._total);
    for (const page of this._pages.values()) {
      page.fresh &&= missing && !moved;
    }
    for (const { number, found } of answers) {
      this._pages.set(number, { rows: found.datasets, fresh: true });
      this._total = found.total;
    }
    for (const number of [...this._pages.keys()].filter(known => known * PAGE >= this._total)) {
      this._pages.delete(number);
    }
  }

  private wanted(): number[] {
    const last = Math.floor(Math.max(0, Math.min(this._last, this._total - 1)) / PAGE);
    const first = Math.min(last, Math.floor(this._first / PAGE));
    return Array.from({ length: last - first + 1 }, (_, place) => first + place);
  }

  private readonly _pages = new Map<number, IPage>();
  private _key: string | null = null;
  private _total = 0;
  private _first = 0;
  private _last = 0;
  /** Pages that are being read. */
  private _asked = new Set<number>();
  private _reading: AbortController | null = null;
}

/** What a question is known by. */
export function keyOf(query: string, scope: Scope): string {
  return `${scope} ${query}`;
}
