import { ApiError } from '../api/errors';
import type { IGuardrailsApi } from '../api/client';
import type {
  AccessRequest,
  Budget,
  Ended,
  History,
  Kernel,
  Kernels,
  Me,
  NewMore,
  Notice,
  RefusedRead
} from '../api/generated/openapi';
import { PollModel } from './pollModel';

const IDLE_MS = 30_000;
const BUSY_MS = 5_000;
/** While a countdown runs: it may be called off. */
const COUNTDOWN_MS = 5_000;
/** Policy, profiles and budget change seldom: read with every view, and then this often. */
const SLOW_MS = 15_000;

/** How often a kernel's history is read while it is shown: its finest step is 10 s. */
export const HISTORY_MS = 30_000;

/** A kernel that was used within this time is in use, seconds. */
const IDLE_S = 60;

const JITTER_MS = 500; // of a timer

/** How a kernel's processor and memory went, oldest first. */
export type Samples = History['samples'];

/** A notice and whose it is. */
export interface IKernelNotice {
  kernel: Kernel;
  notice: Notice;
}

/** What one step of one limit of one kernel is hidden by. */
export function noticeKey(kernel: Kernel, notice: Notice): string {
  return `${kernel.id} ${notice.kind} ${notice.phase} ${notice.since}`;
}

/** What a refused dataset of one kernel is hidden by; that it may be read by now shows again. */
export function refusedKey(kernelId: string, { dataset, status }: RefusedRead): string {
  return `${kernelId} read ${dataset} ${status}`;
}

/** The limit whose raising would help against a notice; the form takes the first that begins like this. */
export function askedBy({ kind }: Notice): string {
  return kind === 'budget' ? 'budget.' : kind;
}

/** What this person may use and uses: policy, budget, and each kernel's memory and processor. */
export class QuotaModel extends PollModel {
  constructor(
    private readonly api: IGuardrailsApi,
    private readonly clock: () => number = Date.now
  ) {
    super('quotas');
  }

  get me(): Me | null {
    return this._me;
  }

  get kernels(): Kernels | null {
    return this._kernels;
  }

  get budget(): Budget | null {
    return this._budget;
  }

  /** Requests for more of a limit, newest first. */
  get requests(): readonly AccessRequest[] {
    return this._requests;
  }

  /** What a limit has ended, newest first, unless that was hidden or something runs in its place. */
  get ended(): readonly Ended[] {
    const running = this._kernels?.kernels ?? [];
    return (this._kernels?.ended ?? []).filter(
      ended => !this._hidden.has(ended.id) && !running.some(kernel => kernel.notebook === ended.notebook)
    );
  }

  /** A notice that is in force and not hidden, of each kernel. */
  get notices(): readonly IKernelNotice[] {
    const all = (this._kernels?.kernels ?? []).flatMap(kernel => kernel.notices.map(notice => ({ kernel, notice })));
    return all.filter(({ kernel, notice }) => !this._hidden.has(noticeKey(kernel, notice)));
  }

  /** Datasets that were refused to a kernel, unless that was hidden; a server before this version tells none. */
  refusedReads(kernelId: string): readonly RefusedRead[] {
    const kernel = this._kernels?.kernels.find(({ id }) => id === kernelId);
    return (kernel?.refused_reads ?? []).filter(read => !this._hidden.has(refusedKey(kernelId, read)));
  }

  /** What was refused stands above a notebook, whichever part of the panel is in front. */
  override get inSight(): boolean {
    return this.visible || (this._currentId !== null && this.refusedReads(this._currentId).length > 0);
  }

  /** Seconds until a notice's next step, as of now; null where nothing follows. */
  secondsLeft(notice: Notice): number | null {
    const { seconds_left: left } = notice;
    return left === null ? null : Math.max(0, left - (this.clock() - this._kernelsReadAt) / 1000);
  }

  /** Seconds until an unused kernel is ended, as of now; null where it isn't, or is in use. */
  idleLeft({ idle_s: idle, idle_limit_s: limit }: Kernel): number | null {
    const since = (this.clock() - this._kernelsReadAt) / 1000;
    return typeof limit === 'number' && idle >= IDLE_S ? Math.max(0, limit - idle - since) : null;
  }

  /** How a kernel went, as it was read last; null before that. */
  history(kernel: string): Samples | null {
    return this._histories.get(kernel)?.samples ?? null;
  }

  /** Whether the latest reading of a kernel's history failed. */
  historyFailed(kernel: string): boolean {
    return this._histories.get(kernel)?.failed ?? false;
  }

  /** Read how a kernel went, unless that was done just now or nobody can see it. */
  async readHistory(kernel: string): Promise<void> {
    const known = this._histories.get(kernel);
    const now = this.clock();
    if (!this.visible || document.hidden || (known && now - known.readAt < HISTORY_MS - JITTER_MS)) {
      return;
    }
    const samples = known?.samples ?? null;
    this._histories.set(kernel, { readAt: now, samples, failed: known?.failed ?? false });
    const found = await this.api.history(kernel).catch(() => null); // said in the card; read again in its time
    this._histories.set(kernel, { readAt: now, samples: found?.samples ?? samples, failed: found === null });
    this.stateChanged.emit();
  }

  /** Don't show it any more; a later step of the same limit shows again. */
  hide(key: string): void {
    this._hidden.add(key);
    this.stateChanged.emit();
  }

  /** An idle kernel is still needed. Throws an ApiError. */
  async keep(kernel: string): Promise<void> {
    await this.api.keepKernel(kernel);
    await this.refresh();
  }

  /** End a kernel whose notebook is saved. Throws an ApiError. */
  async stop(kernel: string): Promise<void> {
    await this.api.stopKernel(kernel);
    await this.refresh();
  }

  /** Ask for more of a limit for a while. Throws an ApiError. */
  async askForMore(ask: NewMore): Promise<void> {
    const asked = await this.api.requestMore(ask);
    this._requests = [asked, ...this._requests.filter(({ id }) => id !== asked.id)];
    this.stateChanged.emit();
  }

  /** Which kernel's notice asks for more just now: its form is open. */
  get asking(): string | null {
    return this._asking;
  }

  set asking(resource: string | null) {
    this._asking = resource;
    this.stateChanged.emit();
  }

  /** Why the latest choice of a profile was refused. */
  get choiceError(): ApiError | null {
    return this._choiceError;
  }

  /** A profile whose choice is on its way to the server. */
  get choosing(): string | null {
    return this._choosing;
  }

  /** Seconds between two readings while the limits can be seen. */
  set pollSeconds(seconds: number) {
    this._visibleMs = seconds * 1000;
    this.retime();
  }

  /** The kernel of the notebook in front, whether it is running something, and the notebook's path. */
  setCurrentKernel(id: string | null, busy: boolean, notebook: string | null = null): void {
    const changed = id !== this._currentId || busy !== this._busy || notebook !== this._notebook;
    this._notebook = notebook;
    this._currentId = id;
    this._busy = busy;
    if (changed) {
      this.retime();
      this.stateChanged.emit();
      void this.refresh();
    }
  }

  /** The kernel of the notebook in front, if it runs under limits. */
  get current(): Kernel | null {
    return this._kernels?.kernels.find(kernel => kernel.id === this._currentId) ?? null;
  }

  /** The profile that the next kernel starts with: that of the notebook in front, where this has one of its own. */
  get chosen(): string | null {
    return this._choosing ?? this.own?.profile ?? this._me?.profiles.find(profile => profile.chosen)?.name ?? null;
  }

  /** What was chosen for the notebook in front alone; null where it is as all others. */
  get own(): Me['own'] | null {
    const own = this._me?.own;
    return own?.notebook === this._notebook ? own : null;
  }

  /** Whether the kernel in front started with another profile than the chosen one. */
  get restartNeeded(): boolean {
    const settled = this.chosen !== null && this._choosing === null; // a restart would come before the choice
    const known = this._meOf === this._notebook; // or it may have a choice of its own
    return settled && known && this.current?.kind === 'kernel' && this.current.profile !== this.chosen;
  }

  /** Choose the profile of kernels that start from now on: of the notebook in front, where it has its own, else of all; null: as all. */
  async choose(profile: string | null): Promise<void> {
    const own = this.own;
    this._choosing = profile;
    this._choiceError = null;
    this.stateChanged.emit();
    try {
      await this.api.chooseProfile(own ? { profile, notebook: own.notebook } : { profile });
      this._me = await this.readMe();
    } catch (reason) {
      this._choiceError = ApiError.from(reason);
    }
    this._choosing = null;
    this.stateChanged.emit();
  }

  /** Read everything again, the slow parts too. */
  reload(): Promise<void> {
    this._slowReadAt = -Infinity;
    return this.refresh();
  }

  protected async load(): Promise<void> {
    const slow = this.clock() - this._slowReadAt >= SLOW_MS && (this.visible || this._me === null);
    const [kernels, me, budget, requests] = await Promise.all([
      this.api.kernels(),
      slow || (this.visible && this._meOf !== this._notebook) ? this.readMe() : this._me,
      slow ? this.api.budget() : this._budget,
      slow ? this.api.requests().then(({ requests }) => requests.filter(({ kind }) => kind === 'more')) : this._requests
    ]);
    this._kernels = kernels;
    this._kernelsReadAt = this.clock();
    this.forgetHistories(kernels);
    this._requests = requests;
    this._me = me;
    this._budget = budget;
    if (slow) {
      this._slowReadAt = this.clock();
    }
  }

  private async readMe(): Promise<Me> {
    const notebook = this._notebook;
    const me = await this.api.me(notebook);
    this._meOf = notebook;
    return me;
  }

  /** Of kernels that run no more. */
  private forgetHistories({ kernels }: Kernels): void {
    const running = new Set(kernels.map(({ id }) => id));
    for (const id of [...this._histories.keys()].filter(known => !running.has(known))) {
      this._histories.delete(id);
    }
  }

  protected interval(): number {
    if (this.visible) {
      return this._visibleMs;
    }
    return this.counting ? COUNTDOWN_MS : this._busy ? BUSY_MS : IDLE_MS;
  }

  protected override moving(): boolean {
    return this._busy || this.counting;
  }

  /** Whether something is to end unless somebody does something. */
  private get counting(): boolean {
    return this.notices.some(({ notice }) => notice.ends_at !== null);
  }

  /** Nothing to show anywhere: no view, and no kernel for the status bar. */
  protected override resting(): boolean {
    return this.loaded && !this.visible && this._currentId === null;
  }

  private _me: Me | null = null;
  private _meOf: string | null = null; // the notebook that it was asked about
  private _kernels: Kernels | null = null;
  private _budget: Budget | null = null;
  private _kernelsReadAt = 0;
  private _requests: readonly AccessRequest[] = [];
  private _histories = new Map<string, { readAt: number; samples: Samples | null; failed: boolean }>();
  private _hidden = new Set<string>();
  private _asking: string | null = null;
  private _choosing: string | null = null;
  private _choiceError: ApiError | null = null;
  private _currentId: string | null = null;
  private _notebook: string | null = null;
  private _busy = false;
  private _visibleMs = 3000;
  private _slowReadAt = -Infinity;
}
