import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';

import { ApiError } from '../api/errors';

const MAX_INTERVAL_MS = 5 * 60 * 1000;
/** What can be seen must not stay wrong for long after the server is back. */
const MAX_VISIBLE_MS = 15_000;

/** A model that reads the server again and again: quick while it is looked at, slower otherwise, with back-off after a failure. */
export abstract class PollModel extends VDomModel {
  constructor(name: string) {
    super();
    this._poll = new Poll({
      auto: false,
      factory: () => this.tick(),
      // `interval()` is a subclass's, and its fields are not set yet.
      frequency: { interval: Poll.NEVER, backoff: true, max: MAX_INTERVAL_MS },
      name: `jupyter-guardrails:${name}`,
      // Hidden browser tabs ask nothing; a model may rest for other reasons of its own.
      standby: () => (this.resting() ? true : 'when-hidden')
    });
    globalThis.addEventListener('online', this._online);
  }

  /** Start reading. Apart from the constructor, since subclasses have fields to set first. */
  start(): void {
    this.retime();
    void this._poll.start();
  }

  /** True after the first answer. */
  get loaded(): boolean {
    return this._loaded;
  }

  /** Why the latest reading failed; null after one that worked. */
  get error(): ApiError | null {
    return this._error;
  }

  /** Whether its view can be seen now. */
  get visible(): boolean {
    return this._visible;
  }

  set visible(visible: boolean) {
    if (visible === this._visible) {
      return;
    }
    this._visible = visible;
    this.retime();
    if (visible) {
      void this.refresh();
    }
  }

  /** Read now. Settles when the answer is here; a failure is in `error`. */
  async refresh(): Promise<void> {
    if (!this.isDisposed) {
      await this._poll.refresh();
      await this._poll.tick.catch(() => undefined); // shown through `error`
    }
  }

  override dispose(): void {
    if (!this.isDisposed) {
      globalThis.removeEventListener('online', this._online);
      this._poll.dispose();
      super.dispose();
    }
  }

  /** Read from the server and keep what it said. */
  protected abstract load(): Promise<void>;

  /** Milliseconds until the next reading. */
  protected abstract interval(): number;

  /** Whether nothing needs to be read now. */
  protected resting(): boolean {
    return false;
  }

  /** Take over what `interval` says now. */
  protected retime(): void {
    const interval = this.interval();
    const max = this.visible ? Math.max(interval, MAX_VISIBLE_MS) : MAX_INTERVAL_MS;
    const { frequency } = this._poll;
    if (frequency.interval !== interval || frequency.max !== max) {
      this._poll.frequency = { ...frequency, interval, max };
    }
  }

  private async tick(): Promise<void> {
    try {
      await this.load();
      this._loaded = true;
      this._error = null;
    } catch (reason) {
      this._error = ApiError.from(reason);
      throw reason; // the poll backs off
    } finally {
      this.retime();
      this.stateChanged.emit();
    }
  }

  private readonly _online = (): void => void this.refresh();
  private readonly _poll: Poll<void>;
  private _loaded = false;
  private _error: ApiError | null = null;
  private _visible = false;
}
