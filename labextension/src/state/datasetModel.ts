import { Debouncer } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import { ApiError } from '../api/errors';
import type { IGuardrailsApi, Scope } from '../api/client';
import type { AccessRequest, Dataset, DatasetDetail } from '../api/generated/openapi';
import { DataRequests } from './dataRequests';
import { DatasetPages, keyOf } from './datasetPages';
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

/** The approved datasets that match a search, and this person's requests for access. */
export class DatasetModel extends PollModel {
  constructor(private readonly api: IGuardrailsApi) {
    super('datasets');
    this._search = new Debouncer(() => this.askAnew(), DEBOUNCE_MS);
    this._afterCell = new Debouncer(() => (this.visible ? this.refresh() : undefined), AFTER_CELL_MS);
    this.pages = new DatasetPages(api);
    this.asked = new DataRequests(api);
    this.published = new Published(api);
    this.published.changed.connect(() => {
      this.stateChanged.emit();
      void this.refresh();
    });
  }

  /** The list, page by page. */
  readonly pages: DatasetPages;

  /** Access that was asked for, by this person and by others. */
  readonly asked: DataRequests;

  /** What people publish. */
  readonly published: Published;

  get query(): string {
    return this._query;
  }

  get scope(): Scope {
    return this._scope;
  }

  /** Those of the list that are here: what was looked at. */
  get datasets(): readonly Dataset[] {
    return this.pages.known;
  }

  /** How many datasets match in all. */
  get total(): number {
    return this.pages.total;
  }

  /** What this person asked for, newest first. */
  get requests(): readonly AccessRequest[] {
    return this.asked.all.filter(({ person }) => !this.ofOthers(person));
  }

  /** What others asked for that nobody has answered. */
  get openRequests(): readonly AccessRequest[] {
    return this.asked.all.filter(({ person, state }) => this.ofOthers(person) && state === 'open');
  }

  /** Whether the list still answers an earlier search. */
  get searching(): boolean {
    return this.pages.key !== keyOf(this._query, this._scope);
  }

  /** Library or language of the snippets that are inserted. */
  get library(): string {
    return this._library;
  }

  set library(library: string) {
    this._library = library;
    this.stateChanged.emit();
  }

  /** Emitted when a person has chosen another library, which is to be remembered. */
  get libraryChosen(): ISignal<this, string> {
    return this._libraryChosen;
  }

  /** Write code with another library from now on. */
  chooseLibrary(library: string): void {
    this.library = library;
    this._libraryChosen.emit(library);
  }

  /** Search for words of a name, description, column or owner; soon, and once while someone types. */
  search(query: string): void {
    this._query = query;
    this.stateChanged.emit();
    void this._search.invoke();
  }

  /** The places of the list that can be seen: what is missing there is read. */
  look(first: number, last: number): void {
    if (this.pages.look(first, last) && !this.searching) {
      void this.readMissing();
    }
  }

  /** A kernel has run something. */
  afterCell(): void {
    void this._afterCell.invoke();
  }

  /** Show all, or only what can be read now or asked for. */
  filter(scope: Scope): void {
    this._scope = scope;
    this.stateChanged.emit();
    void this.askAnew();
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
    const made = await this.asked.request(dataset, purpose, days);
    this._details.delete(dataset);
    void this.refresh();
    return made;
  }

  override dispose(): void {
    this.pages.abort();
    this._search.dispose();
    this._afterCell.dispose();
    super.dispose();
  }

  protected async load(): Promise<void> {
    this.asked.take((await this.api.requests()).requests);
    await this.published.load();
    await this.find();
  }

  private ofOthers(person: string): boolean {
    return this.published.person !== '' && person !== this.published.person;
  }

  /** Search until the answer is the one to what stands in the box: a reading under way takes no second one (Poll.refresh). */
  private async find(): Promise<void> {
    const read = (): Promise<boolean> => this.pages.read(this._query, this._scope, false);
    while (!this.isDisposed && (!(await read()) || this.searching)) {
      // the question is another one by now
    }
  }

  /** Another question: nobody waits for the answer to the one before. */
  private askAnew(): Promise<void> {
    this.pages.abort();
    return this.refresh();
  }

  private async readMissing(): Promise<void> {
    try {
      if (await this.pages.read(this._query, this._scope, true)) {
        this.stateChanged.emit();
      }
    } catch {
      await this.refresh(); // says why, and tries again in its time
    }
  }

  protected interval(): number {
    return INTERVAL_MS;
  }

  protected override resting(): boolean {
    return !this.visible;
  }

  private readonly _libraryChosen = new Signal<this, string>(this);
  private readonly _search: Debouncer;
  private readonly _afterCell: Debouncer;
  private readonly _details = new Map<string, IDetail>();
  private _query = '';
  private _scope: Scope = 'all';
  private _library = 'pandas';
}
