import { ISignal, Signal } from '@lumino/signaling';

/** A tab that nobody has touched for so long is left alone. */
export const ALONE_MS = 5 * 60 * 1000;
const TOUCHES = ['pointerdown', 'pointermove', 'keydown', 'wheel', 'focus'] as const;

/** Whether somebody is at this tab: what is hidden, or was left alone, need not be read often. */
class Attention {
  constructor() {
    for (const touch of TOUCHES) {
      globalThis.addEventListener(touch, () => this.touch(), { capture: true, passive: true });
    }
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        this.cameBack();
      }
    });
  }

  /** Whether nobody has touched the page for some minutes. */
  get isAway(): boolean {
    return Date.now() - this._touchedAt >= ALONE_MS;
  }

  /** Emitted when the page comes into sight again, or is touched after it was left alone. */
  get returned(): ISignal<this, void> {
    return this._returned;
  }

  private touch(): void {
    if (this.isAway) {
      this.cameBack();
    }
    this._touchedAt = Date.now();
  }

  private cameBack(): void {
    this._touchedAt = Date.now();
    this._returned.emit();
  }

  private readonly _returned = new Signal<this, void>(this);
  private _touchedAt = Date.now();
}

/** The attention that this page has. */
export const attention = new Attention();
