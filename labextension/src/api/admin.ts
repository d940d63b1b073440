import { ServerConnection } from '@jupyterlab/services';

import type { AuditRecord, Budget, Me, Reviews, Usage } from './generated/openapi';
import { request } from './request';

/** What use is summed by. */
export type UsageBy = Usage['by'];

/** What the Admin tab asks of the server, typed by its OpenAPI file. */
export interface IAdminApi {
  me(): Promise<Me>;
  budget(): Promise<Budget>;
  usage(since: string, by: UsageBy): Promise<Usage>;
  /** When the policy changed, the newest last; empty for people who are no admin. */
  policyChanges(): Promise<AuditRecord[]>;
  reviews(): Promise<Reviews>;
}

const CHANGES = { action: 'policy.reload', last: '10' };

/** The admins' part of the API of the Jupyter server that these settings lead to. */
export class AdminApi implements IAdminApi {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  me(): Promise<Me> {
    return request(this.settings, ['me'], { background: true });
  }

  budget(): Promise<Budget> {
    return request(this.settings, ['budget'], { background: true });
  }

  usage(since: string, by: UsageBy): Promise<Usage> {
    return request(this.settings, ['usage'], { query: { since, by }, background: true });
  }

  async policyChanges(): Promise<AuditRecord[]> {
    const { records } = await request<{ records: AuditRecord[] }>(this.settings, ['audit'], {
      query: CHANGES,
      background: true
    });
    return records;
  }

  reviews(): Promise<Reviews> {
    return request(this.settings, ['reviews'], { background: true });
  }
}
