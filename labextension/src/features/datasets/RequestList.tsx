import React from 'react';

import type { AccessRequest } from '../../api/generated/openapi';
import { Entry } from '../../components/Badge';
import { answerOf, requestLooks } from '../../components/requestLooks';
import { Facts, LongText } from '../../components/text';
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
  return (
    <Entry title={request.dataset} hint={request.dataset} look={requestLooks(trans)[request.state]}>
      <p className="jp-Guardrails-muted">
        <Facts
          parts={[ago(request.created_at, Date.now(), trans), trans._n('for %1 day', 'for %1 days', request.days)]}
        />
        {' · '}
        <LongText text={request.purpose} />
      </p>
      {request.state !== 'open' && (
        <p>
          <LongText text={answerOf(request, trans)} />
        </p>
      )}
    </Entry>
  );
}
