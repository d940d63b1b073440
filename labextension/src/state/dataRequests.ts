import type { AccessRequest, Submission } from '../api/generated/openapi';
import { Asking } from './asking';

/** The datasets that a submission names, may not read, and may ask for; each once. */
export function wantedBy({ checks }: Submission): string[] {
  const offers = checks.flatMap(({ findings }) => findings.map(({ offer }) => offer));
  const names = offers.map(offer => (offer?.do === 'request' ? offer.dataset : undefined));
  return [...new Set(names.filter(name => name !== undefined))];
}

/** Access to data: what was asked for, and what is being asked for. */
export class DataRequests extends Asking {
  /** The newest request of a person for a dataset. */
  of(dataset: string, person: string): AccessRequest | undefined {
    return this.all.find(request => request.dataset === dataset && request.person === person);
  }

  /** Ask for access. Throws an ApiError. */
  request(dataset: string, purpose: string, days: number): Promise<AccessRequest> {
    return this.send(this.api.requestAccess({ dataset, purpose, days }));
  }

  protected override readonly kind = 'access';
}
