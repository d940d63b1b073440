import type { AccessRequest } from '../api/generated/openapi';
import { Asking } from './asking';

/** A name as package indexes compare it. */
export function packageName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[-_.]+/g, '-');
}

/** The Python packages that this person asked for; `asking` is empty for one that is still to be named. */
export class PackageRequests extends Asking {
  /** The newest request for a package. */
  of(name: string): AccessRequest | undefined {
    return this.all.find(request => request.package === packageName(name));
  }

  /** Ask for one. Throws an ApiError. */
  ask(name: string, purpose: string, days: number): Promise<AccessRequest> {
    return this.send(this.api.requestPackage({ kind: 'package', package: name.trim(), purpose, days }));
  }

  protected override readonly kind = 'package';
}
