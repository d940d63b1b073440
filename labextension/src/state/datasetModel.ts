import { Debouncer } from '@lumino/polling';

import { ApiError } from '../api/errors';
import type { IGuardrailsApi, Scope } from '../api/client';
import type { AccessRequest, Dataset, DatasetDetail } from '../api/generated/openapi';
import { PollModel } from './pollModel';
import { Published } from './published';

const DEBOUNCE_MS = 200;
/** A reading is three requests, and an idle tab sends at most one each half minute. */
const INTERVAL_MS = 90_000;
/** After a cell: what it asked for or published is worth a look, once for a run of many. */
const AFTER_CELL_MS = 1000;

/** One dataset's details, as far as they are here. */
export interface IDetail {
  value: DatasetDetail | null;
  error: ApiError | null;
}

const ORDER: readonly Dataset['status'][] = ['granted', 'requestable', 'refused', 'broken'];

/** Without a search there is no ranking by relevance: what can be used now comes first. */
function usableFirst(datasets: readonly Dataset[]): readonly Dataset[] {
  return [...datasets].sort((a, b) => ORDER.indexOf(a.status) - ORDER.indexOf(b.status));
}

/** The approved datasets that match a search, and this person's requests for access. */
export class DatasetModel extends PollModel {
  constructor(private readonly api: IGuardrailsApi) {
    super('datasets');
    this._search = new Debouncer(() => this.refresh(), DEBOUNCE_MS);
    this._afterCell = new Debouncer(() => (this.visible ? this.refresh() : undefined), AFTER_CELL_MS);
    this.published = new Published(api);
    this.published.changed.connect(() => {
      this.stateChanged.emit();
      void this.refresh();
    });
  }

  /** What people publish. */
  readonly published: Published;

  get query(): string {
    return this._query;
  }

  get scope(): Scope {
    return this._scope;
  }

  get datasets(): readonly Dataset[] {
    return this._datasets;
  }

  /** How many datasets match in all; may be more than are listed. */
  get total(): number {
    return this._total;
  }

  /** What this person asked for, newest first. */
  get requests(): readonly AccessRequest[] {
    return this._requests.filter(({ person }) => !this.ofOthers(person));
  }

  /** What others asked for that nobody has answered. */
  get openRequests(): readonly AccessRequest[] {
    return this._requests.filter(({ person, state }) => this.ofOthers(person) && state === 'open');
  }

  /** Whether the list still answers an earlier search. */
  get searching(): boolean {
    return this._searched !== this.key();
  }

  /** Library or language of the snippets that are inserted. */
  get library(): string {
    return this._library;
  }

  set library(library: string) {
    this._library = library;
    this.stateChanged.emit();
  }

  /** Search for words of a name, description, column or owner; soon, and once while someone types. */
  search(query: string): void {
    this._query = query;
    this.stateChanged.emit();
    void this._search.invoke();
  }

  /** A kernel has run something. */
  afterCell(): void {
    void this._afterCell.invoke();
  }

  /** Show all, or only what can be read now or asked for. */
  filter(scope: Scope): void {
    this._scope = scope;
    this.stateChanged.emit();
    void this.refresh();
  }

  detail(name: string): IDetail | undefined {
    return this._details.get(name);
  }

  /** The newest request for a dataset. */
  requestFor(name: string): AccessRequest | undefined {
    return this.requests.find(request => request.dataset === name);
  }

  /** Read a dataset's contract, columns, preview and snippets. */
  async open(name: string): Promise<DatasetDetail | null> {
    const known = this._details.get(name)?.value ?? null;
    try {
      const value = await this.api.dataset(name);
      this._details.set(name, { value, error: null });
    } catch (reason) {
      this._details.set(name, { value: known, error: ApiError.from(reason) });
    }
    this.stateChanged.emit();
    return this._details.get(name)?.value ?? null;
  }

  /** Ask for access; the request is in `requests` when this settles. Throws an ApiError. */
  async request(dataset: string, purpose: string, days: number): Promise<AccessRequest> {
    try {
      const made = await this.api.requestAccess({ dataset, purpose, days });
      this._requests = [made, ...this._requests.filter(request => request.id !== made.id)];
      this._details.delete(dataset);
      void this.refresh();
      return made;
    } catch (reason) {
      throw ApiError.from(reason);
    }
  }

  /** The code that opens a dataset in the chosen library, or in pandas, or in what there is. */
  static snippet(detail: DatasetDetail, library: string): string | null {
    const { snippets } = detail;
    return snippets[library] ?? snippets.pandas ?? Object.values(snippets)[0] ?? null;
  }

  override dispose(): void {
    this._search.dispose();
    this._afterCell.dispose();
    super.dispose();
  }

  protected async load(): Promise<void> {
    const asked = await this.api.requests();
    this._requests = asked.requests
      .filter(({ kind }) => kind === 'access')
      .sort((a, b) => b.created_at.localeCompare(a.created_at));
    await this.published.load();
    await this.find();
  }

  private ofOthers(person: string): boolean {
    return this.published.person !== '' && person !== this.published.person;
  }

  /** Search until the answer is the one to what stands in the box: a reading under way takes no second one (Poll.refresh). */
  private async find(): Promise<void> {
    const key = this.key();
    const found = await this.api.datasets(this._query, this._scope);
    if (key !== this.key()) {
      return this.find();
    }
    this._searched = key;
    this._datasets = this._query ? found.datasets : usableFirst(found.datasets);
    this._total = found.total;
  }

  protected interval(): number {
    return INTERVAL_MS;
  }

  protected override resting(): boolean {
    return !this.visible;
  }

  private key(): string {
    return `${this._scope} ${this._query}`;
  }

  private readonly _search: Debouncer;
  private readonly _afterCell: Debouncer;
  private readonly _details = new Map<string, IDetail>();
  private _query = '';
  private _scope: Scope = 'all';
  private _library = 'pandas';
  private _searched: string | null = null;
  private _datasets: readonly Dataset[] = [];
  private _total = 0;
  private _requests: readonly AccessRequest[] = [];
}
