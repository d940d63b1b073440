import { Debouncer } from '@lumino/polling';
import { ISignal, Signal } from '@lumino/signaling';

import { ApiError } from '../api/errors';
import type { IGuardrailsApi } from '../api/client';
import type { JobDetails, NewSubmission, Production, Reopened, Submission } from '../api/generated/openapi';
import { wholeProduction, wholeSubmission } from '../api/whole';
import { DataRequests } from './dataRequests';
import { PackageRequests } from './packageRequests';
import { PollModel } from './pollModel';

const CHECKING_MS = 1000;
/** So many submissions are read at once, and so many at most. */
const PAGE = 50;
const MOST = 1000;
const SEARCH_MS = 250;
/** A reading is three requests, and an idle tab sends at most one each half minute. */
const IDLE_MS = 90_000;
/** Others have had, or have, a say in it. */
const REVIEWED: ReadonlySet<Submission['state']> = new Set([
  'in_review',
  'changes_requested',
  'rejected',
  'approved',
  'deployed',
  'superseded',
  'retired'
]);

/** What is said about a job beside its notebook. */
export interface Said {
  details?: JobDetails;
  /** What was typed for its parameters, by their names. */
  typed?: Readonly<Record<string, string>>;
}

/** The code of an error about what was typed, which is over once something else is. */
export const TYPED_WRONG = 'typed_wrong';

export interface ISubmitOptions extends Pick<Said, 'details'> {
  /** Check only. */
  draft: boolean;
  /** Of a draft: run it for so many seconds, or on so many rows of each dataset, only. */
  sample?: Pick<NewSubmission, 'sample_s' | 'sample_rows'>;
  save: () => Promise<void>;
  /** The values of its parameters; rejects, before anything is saved, where one can't be told. */
  values?: () => Promise<NewSubmission['parameters']>;
  /** Why it should go on in spite of warnings. */
  reason?: string;
}

/** Without what nobody said. */
function stated(details: JobDetails | undefined): JobDetails | undefined {
  const said = Object.entries(details ?? {}).filter(([, value]) =>
    typeof value === 'object' ? Object.keys(value).length > 0 : value !== '' && value !== 0
  );
  return said.length > 0 ? Object.fromEntries(said) : undefined;
}

/** Whether checks are still to come: a draft of which none is known has just been made. */
export function isChecking({ state, checks }: Submission): boolean {
  return state === 'submitted' || state === 'checking' || (state === 'draft' && checks.length === 0);
}

/** Whether it goes on only with a word on its warnings: a draft that went well but for these, or a submission that ended for want of it. */
export function needsReason({ state, error, reason, checks }: Submission): boolean {
  const has = (what: Submission['checks'][number]['state']): boolean => checks.some(check => check.state === what);
  const open = state === 'draft' ? error === '' : state === 'checks_failed' && reason === '' && !has('failed');
  return open && has('warned');
}

/** Whether it ended for want of that word alone: nothing of it has failed. */
export function isUnexplained({ state, error }: Submission): boolean {
  return state === 'checks_failed' && error.startsWith('there are warnings, and no reason');
}

/** This person's submissions, the one that is shown, and the way of one through its checks. */
export class SubmissionModel extends PollModel {
  constructor(private readonly api: IGuardrailsApi) {
    super('submissions');
    this.packages = new PackageRequests(api);
    this.packages.changed.connect(() => this.stateChanged.emit());
    this.data = new DataRequests(api);
    this.data.changed.connect(() => this.stateChanged.emit());
  }

  /** The Python packages that this person asked for. */
  readonly packages: PackageRequests;

  /** Access to data, of which submissions may lack some. */
  readonly data: DataRequests;

  /** All that is known of, newest first. */
  get submissions(): readonly Submission[] {
    return this._submissions;
  }

  /** Those whose notebook's path has the words that are searched for, newest first, as many as were asked for. */
  get listed(): readonly Submission[] {
    return this._submissions.filter(({ id }) => this._listed.has(id));
  }

  /** How many there are of these. */
  get total(): number {
    return this._total;
  }

  /** What is searched for in the list. */
  get words(): string {
    return this._words;
  }

  /** List those whose notebook's path has these words; empty: all. */
  search(words: string): void {
    this._words = words;
    this._limit = PAGE;
    this.stateChanged.emit();
    void this._search.invoke();
  }

  /** List older ones, too. */
  older(): Promise<void> {
    this._limit = Math.min(this._limit + PAGE, MOST);
    return this.refresh();
  }

  /** Path of the notebook in front; null when there is none. */
  get notebook(): string | null {
    return this._notebook;
  }

  set notebook(path: string | null) {
    if (path !== this._notebook) {
      this._notebook = path;
      this._selected = this._reopened?.notebook === path ? this._reopened.submission : null; // what it came from
      this._actionError = null;
      this.stateChanged.emit();
      if (this.visible && this._total > this._listed.size) {
        void this.refresh(); // its own may stand further back than the list goes
      }
    }
  }

  /** The chosen submission, the newest of the notebook in front, or the one that is being checked where none is open. */
  get shown(): Submission | null {
    const chosen = this._submissions.find(submission => submission.id === this._selected);
    const own = this._submissions.find(submission => submission.notebook === this._notebook);
    return chosen ?? own ?? (this._notebook === null ? (this._submissions.find(isChecking) ?? null) : null);
  }

  /** What became of a submission: its reviewers' words and its runs; undefined until it was read. */
  production(id: string): Production | undefined {
    return this._production.get(id);
  }

  /** What was typed about the job of a notebook, so far. */
  said(path: string): Said {
    return this._said.get(path) ?? {};
  }

  /** Keep what was typed about the job of a notebook. */
  say(path: string, said: Said): void {
    this._said.set(path, said);
    if (this._actionError?.options.code === TYPED_WRONG) {
      this._actionError = null;
    }
    this.stateChanged.emit();
  }

  /** What the check says of values of parameters, by name, as long as these are still what was typed when it was asked. */
  refused(path: string): Readonly<Record<string, string>> {
    const [typed, { id, typed: sent = {} }] = [this.said(path).typed ?? {}, this._sent];
    const findings = this.shown?.id === id ? (this.shown?.checks.flatMap(check => check.findings) ?? []) : [];
    return Object.fromEntries(
      findings.flatMap(({ parameter: name, message }) =>
        name !== undefined && typed[name] !== undefined && typed[name] === sent[name] ? [[name, message]] : []
      )
    );
  }

  /** A save and POST on its way: "check" or "submit". */
  get sending(): 'check' | 'submit' | null {
    return this._sending;
  }

  /** Why the latest action (submit, cancel) was refused. */
  get actionError(): ApiError | null {
    return this._actionError;
  }

  /** Emitted with a submission whose checks came to an end while this page looked on. */
  get finished(): ISignal<this, Submission> {
    return this._finished;
  }

  /** Show one of the list. */
  select(id: string | null): void {
    this._selected = id;
    this.stateChanged.emit();
    void this.refresh();
  }

  /** Save, then have a notebook checked; `draft`: without submitting it. */
  async submit(path: string, options: ISubmitOptions): Promise<void> {
    if (this._sending) {
      return;
    }
    this._sending = options.draft ? 'check' : 'submit';
    this._actionError = null;
    this.stateChanged.emit();
    const { typed } = this.said(path);
    try {
      const parameters = (await options.values?.()) ?? {};
      await options.save();
      const { draft, sample = {}, reason } = options;
      const details = stated(options.details);
      const made = await this.api.submit({
        notebook: path,
        draft,
        ...sample,
        ...(reason ? { reason } : {}),
        ...(Object.keys(parameters).length > 0 ? { parameters } : {}),
        ...(details ? { details } : {})
      });
      this._sent = { id: made.id, typed };
      this.keep(made, true);
    } catch (reason) {
      this._actionError = ApiError.from(reason);
    }
    this._sending = null;
    this.stateChanged.emit();
    void this.refresh();
  }

  /** End a submission's checks. */
  cancel(id: string): Promise<void> {
    return this.act(() => this.api.cancel(id));
  }

  /** Take it back: nobody decides about it any more. */
  withdraw(id: string): Promise<void> {
    return this.act(() => this.api.withdrawSubmission(id));
  }

  /** Let reviewers look at a draft, or no longer. */
  share(id: string, shared: boolean): Promise<void> {
    return this.act(() => this.api.share(id, shared));
  }

  /** A new folder of the workspace with a job's files; null where that was refused. */
  async reopen(id: string): Promise<Reopened | null> {
    this._actionError = null;
    try {
      this._reopened = await this.api.reopen(id);
      return this._reopened;
    } catch (reason) {
      this._actionError = ApiError.from(reason);
      return null;
    } finally {
      this.stateChanged.emit();
    }
  }

  /** What was reopened of a submission, last. */
  reopened(id: string): Reopened | null {
    return this._reopened?.submission === id ? this._reopened : null;
  }

  packageUrl(id: string): string {
    return this.api.packageUrl(id);
  }

  override dispose(): void {
    this._search.dispose();
    Signal.clearData(this);
    super.dispose();
  }

  protected async load(): Promise<void> {
    const checking = this._submissions.filter(isChecking);
    if (checking.length > 0 && this._answered === this.asked()) {
      const now = await Promise.all(checking.map(({ id }) => this.api.submission(id)));
      now.forEach(submission => this.keep(submission, false));
    } else {
      await this.list();
      await this.find();
      const { requests } = await this.api.requests();
      this.data.take(requests);
      this.packages.take(requests);
    }
    const { shown } = this;
    if (shown && REVIEWED.has(shown.state)) {
      this._production.set(shown.id, wholeProduction(await this.api.production(shown.id)));
    }
  }

  protected interval(): number {
    return this._submissions.some(isChecking) ? CHECKING_MS : IDLE_MS;
  }

  protected override moving(): boolean {
    return this._submissions.some(isChecking);
  }

  protected override resting(): boolean {
    return this.loaded && !this.visible && !this._submissions.some(isChecking);
  }

  /** The list as it is: asked again where one was submitted or another list wanted meanwhile, which an answer under way may not know. */
  private async list(): Promise<void> {
    const [kept, asked] = [this._kept, this.asked()];
    const { submissions, total } = await this.api.submissions({ words: this._words, limit: this._limit });
    if (kept !== this._kept || asked !== this.asked()) {
      return this.list();
    }
    this.take(submissions);
    this._listed = new Set(submissions.map(({ id }) => id));
    this._total = typeof total === 'number' ? total : submissions.length; // a server before this version says none
    this._answered = asked;
  }

  /** What is shown and stands further back than the list goes: the notebook's own one, or the chosen one. */
  private async find(): Promise<void> {
    const path = this._notebook;
    const more = this._total > this._listed.size || this._words !== '';
    if (more && path !== null && !this._lookedFor.has(path) && !this._submissions.some(one => one.notebook === path)) {
      this._lookedFor.add(path);
      const { submissions } = await this.api.submissions({ words: path, limit: PAGE });
      this.take(submissions);
    }
    const { shown } = this;
    if (shown && !this._listed.has(shown.id)) {
      this.take([await this.api.submission(shown.id)]);
    }
  }

  /** Which list is wanted. */
  private asked(): string {
    return `${this._limit} ${this._words}`;
  }

  private take(said: readonly Submission[]): void {
    const now = new Map(said.map(one => [one.id, wholeSubmission(one)]));
    const others = this._submissions.filter(({ id }) => !now.has(id));
    this._submissions = [...now.values(), ...others].sort((a, b) => b.created_at.localeCompare(a.created_at));
  }

  private async act(send: () => Promise<Submission>): Promise<void> {
    this._actionError = null;
    try {
      this.keep(await send(), false);
    } catch (reason) {
      this._actionError = ApiError.from(reason);
    }
    this.stateChanged.emit();
  }

  private keep(said: Submission, select: boolean): void {
    const submission = wholeSubmission(said);
    this._kept += 1;
    const before = this._submissions.find(({ id }) => id === submission.id);
    this._submissions = before
      ? this._submissions.map(old => (old.id === submission.id ? { ...old, ...submission } : old))
      : [submission, ...this._submissions];
    if (!before && submission.notebook.includes(this._words)) {
      this._listed = new Set([...this._listed, submission.id]);
      this._total += 1;
    }
    if (select) {
      this._selected = submission.id;
    }
    if (before && isChecking(before) && !isChecking(submission)) {
      this._finished.emit(submission);
    }
    this.retime();
  }

  private readonly _finished = new Signal<this, Submission>(this);
  private readonly _production = new Map<string, Production>();
  private readonly _said = new Map<string, Said>();
  private readonly _lookedFor = new Set<string>();
  private readonly _search = new Debouncer(() => this.refresh(), SEARCH_MS);
  private _listed: ReadonlySet<string> = new Set();
  private _total = 0;
  private _words = '';
  private _limit = PAGE;
  private _answered = '';
  private _submissions: readonly Submission[] = [];
  private _notebook: string | null = null;
  private _selected: string | null = null;
  private _reopened: Reopened | null = null;
  private _sent: { id?: string; typed?: Said['typed'] } = {};
  private _kept = 0;
  private _sending: 'check' | 'submit' | null = null;
  private _actionError: ApiError | null = null;
}
