import React from 'react';

import type { Guarantee, Me } from '../../api/generated/openapi';
import { Badge } from '../../components/Badge';
import { Prose } from '../../components/Prose';
import { StatusIcon } from '../../components/StatusIcon';
import { useTrans } from '../../components/translation';

/** What this machine really holds, in words, and who stands behind the policy. */
export function EnforcedList({ me }: { me: Me }): React.JSX.Element {
  const trans = useTrans();
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('What is enforced here')}>
      <h3>
        {trans.__('What is enforced here')}
        {me.policy.mode !== 'enforce' && <ModeBadge mode={me.policy.mode} />}
      </h3>
      <ul className="jp-Guardrails-guarantees">
        {me.enforced.map(guarantee => (
          <GuaranteeItem key={guarantee.name} guarantee={guarantee} />
        ))}
      </ul>
      <p className="jp-Guardrails-boundary">{me.boundary}</p>
    </section>
  );
}

function ModeBadge({ mode }: { mode: Me['policy']['mode'] }): React.JSX.Element {
  const trans = useTrans();
  return <Badge look={['ask', 'info', mode === 'warn' ? trans.__('warns only') : trans.__('observes only')]} />;
}

function GuaranteeItem({ guarantee }: { guarantee: Guarantee }): React.JSX.Element {
  const trans = useTrans();
  const names: Record<string, string | undefined> = {
    files: trans.__('Files'),
    network: trans.__('Network'),
    processes: trans.__('Processes'),
    memory: trans.__('Memory'),
    sockets: trans.__('Sockets of other programs')
  };
  return (
    <li data-held={guarantee.held}>
      <details>
        <summary>
          <StatusIcon kind={guarantee.held ? 'passed' : 'warned'} />
          <b>{names[guarantee.name] ?? guarantee.name}</b>
          <span>{guarantee.held ? trans.__('held') : trans.__('not held')}</span>
        </summary>
        {guarantee.how && (
          <p>
            <Prose text={guarantee.how} />
          </p>
        )}
        {guarantee.next_step && (
          <p>
            <Prose
              text={
                guarantee.held
                  ? trans.__('To make it stronger: %1', guarantee.next_step)
                  : trans.__('Next step: %1', guarantee.next_step)
              }
            />
          </p>
        )}
      </details>
    </li>
  );
}

/** Every limit with the rule that gave it. */
export function LimitList({ me }: { me: Me }): React.JSX.Element | null {
  const trans = useTrans();
  if (me.limits.length === 0) {
    return null;
  }
  return (
    <details className="jp-Guardrails-block jp-Guardrails-details">
      <summary>{trans.__('All limits and where they come from')}</summary>
      <p className="jp-Guardrails-muted">{trans.__('You are %1. Policy: %2', me.person, me.policy.path)}</p>
      <dl className="jp-Guardrails-limits">
        {me.limits.map(limit => (
          <div key={limit.key}>
            <dt>{limit.label}</dt>
            <dd>
              {limit.value}
              {limit.rule && <code>{limit.rule}</code>}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
