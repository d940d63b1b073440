import React from 'react';

import type { AccessRequest } from '../../api/generated/openapi';
import { Badge } from '../../components/Badge';
import { requestLooks } from '../../components/requestLooks';
import { useTrans } from '../../components/translation';
import { ago } from '../../format';

/** What this person asked for, and the answers. */
export function RequestList({ requests }: { requests: readonly AccessRequest[] }): React.JSX.Element | null {
  const trans = useTrans();
  if (requests.length === 0) {
    return null;
  }
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('My requests')} tabIndex={-1}>
      <h3>{trans.__('My requests')}</h3>
      <ul className="jp-Guardrails-list">
        {requests.map(request => (
          <RequestItem key={request.id} request={request} />
        ))}
      </ul>
    </section>
  );
}

function RequestItem({ request }: { request: AccessRequest }): React.JSX.Element {
  const trans = useTrans();
  const [tone, icon, word] = requestLooks(trans)[request.state];
  return (
    <li className="jp-Guardrails-request">
      <div className="jp-Guardrails-datasetHead">
        <span className="jp-Guardrails-cardTitle">{request.dataset}</span>
        <Badge tone={tone} icon={icon}>
          {word}
        </Badge>
      </div>
      <p className="jp-Guardrails-muted">
        {[
          ago(request.created_at, Date.now(), trans),
          trans._n('for %1 day', 'for %1 days', request.days),
          request.purpose
        ].join(' · ')}
      </p>
      {request.reason && <p>{[request.decided_by, request.reason].filter(Boolean).join(': ')}</p>}
    </li>
  );
}
