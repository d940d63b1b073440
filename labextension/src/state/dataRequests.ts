import { ISignal, Signal } from '@lumino/signaling';

import { ApiError } from '../api/errors';
import type { IGuardrailsApi } from '../api/client';
import type { AccessRequest, Submission } from '../api/generated/openapi';

/** The datasets that a submission names, may not read, and may ask for; each once. */
export function wantedBy({ checks }: Submission): string[] {
  const offers = checks.flatMap(({ findings }) => findings.map(({ offer }) => offer));
  const names = offers.map(offer => (offer?.do === 'request' ? offer.dataset : undefined));
  return [...new Set(names.filter(name => name !== undefined))];
}

/** Access to data that submissions lack: what was asked for, and what is being asked for. */
export class DataRequests {
  constructor(private readonly api: IGuardrailsApi) {}

  /** Emitted when something of it is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The dataset that a form asks for at present; null without a form. */
  get asking(): string | null {
    return this._asking;
  }

  set asking(dataset: string | null) {
    this._asking = dataset;
    this._changed.emit();
  }

  /** The newest request of a person for a dataset. */
  of(dataset: string, person: string): AccessRequest | undefined {
    return this._requests.find(request => request.dataset === dataset && request.person === person);
  }

  /** Take requests as the server has them. */
  take(requests: readonly AccessRequest[]): void {
    this._requests = requests
      .filter(({ kind }) => kind === 'access')
      .sort((a, b) => b.created_at.localeCompare(a.created_at));
  }

  /** Ask for access. Throws an ApiError. */
  async request(dataset: string, purpose: string, days: number): Promise<AccessRequest> {
    try {
      const made = await this.api.requestAccess({ dataset, purpose, days });
      this._requests = [made, ...this._requests.filter(({ id }) => id !== made.id)];
      return made;
    } catch (reason) {
      throw ApiError.from(reason);
    } finally {
      this._changed.emit();
    }
  }

  private readonly _changed = new Signal<this, void>(this);
  private _requests: readonly AccessRequest[] = [];
  private _asking: string | null = null;
}
