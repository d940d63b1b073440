import { ISignal, Signal } from '@lumino/signaling';

import { ApiError } from '../api/errors';
import type { IGuardrailsApi } from '../api/client';
import type { JobDetails, NewSubmission, Production, Reopened, Submission } from '../api/generated/openapi';
import { DataRequests } from './dataRequests';
import { PackageRequests } from './packageRequests';
import { PollModel } from './pollModel';

const CHECKING_MS = 1000;
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
export type Said = Pick<NewSubmission, 'parameters' | 'details'>;

export interface ISubmitOptions extends Said {
  /** Check only. */
  draft: boolean;
  /** Of a draft: run it for so many seconds only. */
  sampleS?: number;
  save: () => Promise<void>;
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

  /** The access to data that submissions lack. */
  readonly data: DataRequests;

  get submissions(): readonly Submission[] {
    return this._submissions;
  }

  /** Path of the notebook in front; null when there is none. */
  get notebook(): string | null {
    return this._notebook;
  }

  set notebook(path: string | null) {
    if (path !== this._notebook) {
      this._notebook = path;
      this._selected = null;
      this._actionError = null;
      this.stateChanged.emit();
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
    this.stateChanged.emit();
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
    try {
      await options.save();
      const { draft, sampleS, reason, parameters = {} } = options;
      const details = stated(options.details);
      this.keep(
        await this.api.submit({
          notebook: path,
          draft,
          ...(sampleS ? { sample_s: sampleS } : {}),
          ...(reason ? { reason } : {}),
          ...(Object.keys(parameters).length > 0 ? { parameters } : {}),
          ...(details ? { details } : {})
        }),
        true
      );
    } catch (reason) {
      this._actionError = ApiError.from(reason);
    }
    this._sending = null;
    this.stateChanged.emit();
    void this.refresh();
  }

  /** End a submission's checks. */
  async cancel(id: string): Promise<void> {
    this._actionError = null;
    try {
      this.keep(await this.api.cancel(id), false);
    } catch (reason) {
      this._actionError = ApiError.from(reason);
    }
    this.stateChanged.emit();
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
    Signal.clearData(this);
    super.dispose();
  }

  protected async load(): Promise<void> {
    const checking = this._submissions.filter(isChecking);
    if (this.loaded && checking.length > 0) {
      const now = await Promise.all(checking.map(({ id }) => this.api.submission(id)));
      now.forEach(submission => this.keep(submission, false));
    } else {
      this._submissions = await this.newest();
      this.data.take(await this.packages.load());
    }
    const { shown } = this;
    if (shown && REVIEWED.has(shown.state)) {
      this._production.set(shown.id, await this.api.production(shown.id));
    }
  }

  protected interval(): number {
    return this._submissions.some(isChecking) ? CHECKING_MS : IDLE_MS;
  }

  protected override resting(): boolean {
    return this.loaded && !this.visible && !this._submissions.some(isChecking);
  }

  /** The list as it is: asked again where one was submitted meanwhile, which an answer under way may not know, or not as it is. */
  private async newest(): Promise<readonly Submission[]> {
    const kept = this._kept;
    const { submissions } = await this.api.submissions();
    return kept === this._kept ? submissions : this.newest();
  }

  private keep(submission: Submission, select: boolean): void {
    this._kept += 1;
    const before = this._submissions.find(({ id }) => id === submission.id);
    this._submissions = before
      ? this._submissions.map(old => (old.id === submission.id ? submission : old))
      : [submission, ...this._submissions];
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
  private _submissions: readonly Submission[] = [];
  private _notebook: string | null = null;
  private _selected: string | null = null;
  private _reopened: Reopened | null = null;
  private _kept = 0;
  private _sending: 'check' | 'submit' | null = null;
  private _actionError: ApiError | null = null;
}
