import { ISignal, Signal } from '@lumino/signaling';

import { ApiError } from '../api/errors';
import type { IGuardrailsApi } from '../api/client';
import type { AccessRequest } from '../api/generated/openapi';

/** A part of what the server knows that a person can change from here. */
export abstract class Changing {
  constructor(protected readonly api: IGuardrailsApi) {}

  /** Emitted when something of it is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Take over what the server answers, and tell that it changed, also after a failure. Throws an ApiError. */
  protected async act<T>(work: Promise<T>, take: (made: T) => unknown): Promise<T> {
    try {
      const made = await work;
      await take(made);
      return made;
    } catch (reason) {
      throw ApiError.from(reason);
    } finally {
      this.emit();
    }
  }

  protected emit(): void {
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
}

/** Requests of one kind: what was asked for, and what is being asked for. */
export abstract class Asking extends Changing {
  protected abstract readonly kind: AccessRequest['kind'];

  /** Newest first. */
  get all(): readonly AccessRequest[] {
    return this._all;
  }

  /** What a form asks for at present; null without a form. */
  get asking(): string | null {
    return this._asking;
  }

  set asking(name: string | null) {
    this._asking = name;
    this.emit();
  }

  /** Take those of this kind from all that the server has. */
  take(requests: readonly AccessRequest[]): void {
    this._all = requests
      .filter(({ kind }) => kind === this.kind)
      .sort((a, b) => b.created_at.localeCompare(a.created_at));
  }

  /** Ask for one; it is in `all` when this settles. Throws an ApiError. */
  protected send(work: Promise<AccessRequest>): Promise<AccessRequest> {
    return this.act(work, made => {
      this._all = [made, ...this._all.filter(({ id }) => id !== made.id)];
    });
  }

  private _all: readonly AccessRequest[] = [];
  private _asking: string | null = null;
}
