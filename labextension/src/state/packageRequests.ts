import { ISignal, Signal } from '@lumino/signaling';

import { ApiError } from '../api/errors';
import type { IGuardrailsApi } from '../api/client';
import type { AccessRequest } from '../api/generated/openapi';

/** A name as package indexes compare it. */
export function packageName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[-_.]+/g, '-');
}

/** The Python packages that this person asked for. */
export class PackageRequests {
  constructor(private readonly api: IGuardrailsApi) {}

  /** Emitted when something of it is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Own requests, newest first. */
  get own(): readonly AccessRequest[] {
    return this._own;
  }

  /** The package that a form asks for at present; empty for one that is still to be named, null without a form. */
  get asking(): string | null {
    return this._asking;
  }

  set asking(name: string | null) {
    this._asking = name;
    this._changed.emit();
  }

  /** The newest request for a package. */
  of(name: string): AccessRequest | undefined {
    return this._own.find(request => request.package === packageName(name));
  }

  /** Read them from the server; all requests, those of other kinds too. */
  async load(): Promise<readonly AccessRequest[]> {
    const { requests } = await this.api.requests();
    this._own = requests
      .filter(({ kind }) => kind === 'package')
      .sort((a, b) => b.created_at.localeCompare(a.created_at));
    return requests;
  }

  /** Ask for one. Throws an ApiError. */
  async ask(name: string, purpose: string, days: number): Promise<AccessRequest> {
    try {
      const made = await this.api.requestPackage({ kind: 'package', package: name.trim(), purpose, days });
      this._own = [made, ...this._own.filter(({ id }) => id !== made.id)];
      return made;
    } catch (reason) {
      throw ApiError.from(reason);
    } finally {
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _own: readonly AccessRequest[] = [];
  private _asking: string | null = null;
}
