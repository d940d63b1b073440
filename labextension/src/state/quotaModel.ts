import { ApiError } from '../api/errors';
import type { IGuardrailsApi } from '../api/client';
import type { Budget, Kernel, Kernels, Me } from '../api/generated/openapi';
import { PollModel } from './pollModel';

const IDLE_MS = 30_000;
const BUSY_MS = 5_000;
/** Policy, profiles and budget change seldom: read with every view, and then this often. */
const SLOW_MS = 15_000;

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

  /** The kernel of the notebook in front, and whether it is running something. */
  setCurrentKernel(id: string | null, busy: boolean): void {
    const changed = id !== this._currentId || busy !== this._busy;
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

  /** The profile that the next kernel starts with. */
  get chosen(): string | null {
    return this._choosing ?? this._me?.profiles.find(profile => profile.chosen)?.name ?? null;
  }

  /** Whether the kernel in front started with another profile than the chosen one. */
  get restartNeeded(): boolean {
    return this.current?.kind === 'kernel' && this.chosen !== null && this.current.profile !== this.chosen;
  }

  /** Choose the profile of kernels that start from now on. */
  async choose(profile: string): Promise<void> {
    this._choosing = profile;
    this._choiceError = null;
    this.stateChanged.emit();
    try {
      await this.api.chooseProfile({ profile });
      this._me = await this.api.me();
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
    const [kernels, me, budget] = await Promise.all([
      this.api.kernels(),
      slow ? this.api.me() : this._me,
      slow ? this.api.budget() : this._budget
    ]);
    this._kernels = kernels;
    this._me = me;
    this._budget = budget;
    if (slow) {
      this._slowReadAt = this.clock();
    }
  }

  protected interval(): number {
    if (this.visible) {
      return this._visibleMs;
    }
    return this._busy ? BUSY_MS : IDLE_MS;
  }

  /** Nothing to show anywhere: no view, and no kernel for the status bar. */
  protected override resting(): boolean {
    return this.loaded && !this.visible && this._currentId === null;
  }

  private _me: Me | null = null;
  private _kernels: Kernels | null = null;
  private _budget: Budget | null = null;
  private _choosing: string | null = null;
  private _choiceError: ApiError | null = null;
  private _currentId: string | null = null;
  private _busy = false;
  private _visibleMs = 3000;
  private _slowReadAt = -Infinity;
}
