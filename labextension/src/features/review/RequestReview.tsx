import React from 'react';

import type { AccessRequest } from '../../api/generated/openapi';
import { Said } from '../../components/text';
import { useTrans } from '../../components/translation';
import { ago, moment } from '../../format';
import { Command, RequestCommands } from '../publications/Command';
import { kindsOf } from './Queue';
import { WhyOutside } from './WhyOutside';

/** What somebody asks for: data, a package, a higher limit; why, for how long, and the commands that decide. */
export function RequestReview({ request }: { request: AccessRequest }): React.JSX.Element {
  const trans = useTrans();
  const { id, kind, person, dataset, resource, package: name, days, until, purpose, created_at: made } = request;
  const wanted = dataset || name || resource || id;
  const length = until ? trans.__('until %1', moment(until)) : trans._n('for %1 day', 'for %1 days', days);
  return (
    <>
      <header className="jp-Guardrails-reviewHead">
        <h2>{trans.__('%1 asks for %2', person, wanted)}</h2>
        <p className="jp-Guardrails-muted">
          {[kindsOf(trans)[kind], ago(made, Date.now(), trans), length].join(' · ')}
        </p>
      </header>
      <p>
        <Said text={purpose} />
      </p>
      <section aria-label={trans.__('Decide')}>
        <h3>{trans.__('Decide')}</h3>
        <WhyOutside />
        {kind !== 'access' && (
          <Command label={trans.__('Everything that is known of it')} text={`jupyter guardrails requests show ${id}`} />
        )}
        <RequestCommands request={request} />
      </section>
    </>
  );
}
