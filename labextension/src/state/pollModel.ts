import { VDomModel } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';

import { ApiError } from '../api/errors';
import { attention } from './attention';

const MAX_INTERVAL_MS = 5 * 60 * 1000;
/** What can be seen must not stay wrong for long after the server is back. */
const MAX_VISIBLE_MS = 15_000;
/** Of a tab that was left alone: together these are less than one request each half minute. */
const ALONE_HIDDEN_MS = 60_000;
const ALONE_VISIBLE_MS = 240_000;
/** Many tabs that were opened at once must not ask at once for ever: an interval is up to so much longer. */
const SPREAD = 0.2;
/** After so long a reader is told that the answer is still waited for. */
export const SLOW_MS = 4000;
/** So long it is said that the server is back. */
export const BACK_MS = 10_000;

/** A model that reads the server again and again: quick while it is looked at, slower otherwise, with back-off after a failure. */
export abstract class PollModel extends VDomModel {
  constructor(name: string) {
    super();
    this._poll = new Poll({
      auto: false,
      factory: () => this.tick(),
      // `interval()` is a subclass's, and its fields are not set yet.
      frequency: { interval: Poll.NEVER, backoff: true, max: MAX_INTERVAL_MS },
      linger: 0,
      name: `jupyter-guardrails:${name}`,
      // Hidden browser tabs ask nothing; a model may rest for other reasons of its own.
      standby: () => (this.resting() ? true : 'when-hidden')
    });
    globalThis.addEventListener('online', this._again);
    attention.returned.connect(this._again);
  }

  /** Start reading: a view asks nothing before. Apart from the constructor, since subclasses have fields to set first. */
  start(): void {
    this._started = true;
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

  /** Whether an answer is waited for longer than usual. */
  get slow(): boolean {
    return this._slow;
  }

  /** Whether the server answers again, since a moment ago. */
  get back(): boolean {
    return this._back;
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
    if (visible && this._started) {
      void this.read();
    }
  }

  /** Whether anything of it is in sight, in its view or elsewhere. */
  get inSight(): boolean {
    return this._visible;
  }

  /** Read now. Settles when an answer from after this call is here; a failure is in `error`. */
  async refresh(): Promise<void> {
    const asked = ++this._wanted;
    await this.read();
    if (this._begun < asked) {
      await this.read(); // the first one was under way: what it read may be from before what is asked for now
    }
  }

  override dispose(): void {
    if (!this.isDisposed) {
      globalThis.removeEventListener('online', this._again);
      attention.returned.disconnect(this._again);
      clearTimeout(this._backTimer);
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

  /** Whether something is under way that is worth reading also in a tab that was left alone. */
  protected moving(): boolean {
    return false;
  }

  /** Take over what `interval` says now. */
  protected retime(): void {
    const patience = this.patience();
    const hurried = this.visible && this._error?.trouble !== 'missing';
    const most = hurried ? MAX_VISIBLE_MS : MAX_INTERVAL_MS;
    if (this._patience !== patience || this._most !== most) {
      const interval = patience * (1 + SPREAD * Math.random());
      this._poll.frequency = { ...this._poll.frequency, interval, max: Math.max(interval, most) };
      this._patience = patience;
      this._most = most;
    }
  }

  private patience(): number {
    const asked = this.interval();
    const alone = attention.isAway && !this.moving();
    return alone ? Math.max(asked, this.visible ? ALONE_VISIBLE_MS : ALONE_HIDDEN_MS) : asked;
  }

  /** Read, or wait for the reading that is under way. */
  private async read(): Promise<void> {
    if (!this.isDisposed) {
      await this._poll.refresh();
      await this._poll.tick.catch(() => undefined); // shown through `error`
    }
  }

  private async tick(): Promise<void> {
    this._begun = this._wanted;
    const slow = setTimeout(() => this.turn(() => (this._slow = true)), SLOW_MS);
    try {
      await this.load();
      this._loaded = true;
      if (this._error && this._error.trouble !== 'said') {
        this.cameBack();
      }
      this._error = null;
    } catch (reason) {
      this._error = ApiError.from(reason);
      this._back = false;
      throw reason; // the poll backs off
    } finally {
      clearTimeout(slow);
      this._slow = false;
      this.retime();
      this.stateChanged.emit();
    }
  }

  private cameBack(): void {
    this._back = true;
    clearTimeout(this._backTimer);
    this._backTimer = setTimeout(() => this.turn(() => (this._back = false)), BACK_MS);
  }

  private turn(change: () => void): void {
    change();
    this.stateChanged.emit();
  }

  private readonly _again = (): void => {
    if (this._started) {
      void this.read();
    }
  };
  private readonly _poll: Poll<void>;
  private _patience = Poll.NEVER;
  private _most = MAX_INTERVAL_MS;
  private _started = false;
  /** How many times a reading was asked for, and how many of these stood when the latest one began. */
  private _wanted = 0;
  private _begun = 0;
  private _loaded = false;
  private _error: ApiError | null = null;
  private _slow = false;
  private _back = false;
  private _backTimer: ReturnType<typeof setTimeout> | undefined;
  private _visible = false;
}
