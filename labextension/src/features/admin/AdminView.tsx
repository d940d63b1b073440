import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { UsageBy } from '../../api/admin';
import type { AuditRecord, AuditSink, Me } from '../../api/generated/openapi';
import { Loading } from '../../components/EmptyState';
import { ErrorNotice } from '../../components/Notice';
import { Prose } from '../../components/Prose';
import { StatusIcon } from '../../components/StatusIcon';
import { useTrans } from '../../components/translation';
import { moment } from '../../format';
import { AdminModel, Range, RANGES } from '../../state/adminModel';
import { BudgetCard } from '../quotas/BudgetCard';
import { EnforcedList, LimitList } from '../quotas/Enforced';
import { PolicyMistakes } from '../quotas/PolicyMistakes';
import { UsageTable } from './UsageTable';

export interface IAdminViewProps {
  model: AdminModel;
  /** Open the Review tab; absent where there is none. */
  onReview?: () => void;
}

/** What was used, the policy in force, and what this machine really holds. */
export function AdminView({ model, onReview }: IAdminViewProps): React.JSX.Element {
  const trans = useTrans();
  const { me, budget, error, waiting } = model;
  const trouble = error && (
    <ErrorNotice error={error} title={trans.__('This could not be read')} onRetry={() => void model.refresh()} />
  );
  if (!me) {
    return trouble ?? <Loading label={trans.__('Reading use and policy')} lines={6} />;
  }
  return (
    <>
      {trouble}
      {!model.isAdmin && (
        <p className="jp-Guardrails-muted">
          {trans.__(
            'You see your own use, and what is enforced for you. Everybody’s use and the history of the policy are for admins, whom the policy names under “admins”.'
          )}
        </p>
      )}
      {waiting !== null && waiting > 0 && onReview && (
        <p>
          <button type="button" className="jp-mod-styled" onClick={onReview}>
            {trans._n('%1 thing waits for your word: review…', '%1 things wait for your word: review…', waiting)}
          </button>
        </p>
      )}
      <section className="jp-Guardrails-block" aria-label={trans.__('Use')}>
        <h3>{model.isAdmin ? trans.__('What people used') : trans.__('What you used')}</h3>
        <Choices model={model} />
        <UsageTable model={model} />
      </section>
      {budget && <BudgetCard budget={budget} />}
      <PolicyState me={me} changes={model.changes} />
      <EnforcedList me={me} />
      <Sinks sinks={me.audit ?? []} />
      <LimitList me={me} />
    </>
  );
}

function Choices({ model }: { model: AdminModel }): React.JSX.Element {
  const trans = useTrans();
  const ranges: Record<Range, string> = {
    '24h': trans.__('Last 24 hours'),
    '7d': trans.__('Last 7 days'),
    '30d': trans.__('Last 30 days')
  };
  const kinds: Record<UsageBy, string> = {
    person: trans.__('by person'),
    day: trans.__('by day'),
    profile: trans.__('by profile'),
    notebook: trans.__('by notebook'),
    kernelspec: trans.__('by kernel')
  };
  return (
    <div className="jp-Guardrails-row">
      <select
        className="jp-mod-styled jp-Guardrails-select"
        aria-label={trans.__('Since when')}
        value={model.range}
        onChange={event => model.choose(event.currentTarget.value as Range, model.by)}
      >
        {RANGES.map(range => (
          <option key={range} value={range}>
            {ranges[range]}
          </option>
        ))}
      </select>
      <select
        className="jp-mod-styled jp-Guardrails-select"
        aria-label={trans.__('Summed by what')}
        value={model.by}
        onChange={event => model.choose(model.range, event.currentTarget.value as UsageBy)}
      >
        {Object.entries(kinds).map(([by, label]) => (
          <option key={by} value={by}>
            {label}
          </option>
        ))}
      </select>
      <span className="jp-Guardrails-muted" role="status">
        {model.stale ? trans.__('Summing…') : ''}
      </span>
    </div>
  );
}

function PolicyState({ me, changes }: { me: Me; changes: readonly AuditRecord[] }): React.JSX.Element {
  const trans = useTrans();
  const modes = modeWords(trans);
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Policy')}>
      <h3>{trans.__('Policy')}</h3>
      {me.policy.errors.length > 0 && <PolicyMistakes errors={me.policy.errors} />}
      <p>{modes[me.policy.mode]}</p>
      <p className="jp-Guardrails-muted">
        <code>{me.policy.path}</code> {trans.__('digest %1', me.policy.digest.slice(0, 12))}
      </p>
      {changes.length > 0 && (
        <>
          <h4>{trans.__('What changed, and when')}</h4>
          <ul className="jp-Guardrails-changes">
            {changes.map(({ seq, time, allowed, reason }) => (
              <li key={seq}>
                <StatusIcon kind={allowed ? 'passed' : 'warned'} />
                <span>
                  <time dateTime={time}>{moment(time)}</time> <Prose text={reason || trans.__('read again')} />
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function modeWords(trans: TranslationBundle): Record<Me['policy']['mode'], string> {
  return {
    enforce: trans.__('It is enforced: what it does not allow does not happen.'),
    warn: trans.__('It warns only: what it does not allow happens, is told and is recorded.'),
    observe: trans.__('It observes only: what it would refuse is recorded, and nothing is refused.')
  };
}

function Sinks({ sinks }: { sinks: readonly AuditSink[] }): React.JSX.Element | null {
  const trans = useTrans();
  if (sinks.length === 0) {
    return null;
  }
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Where audit records go')}>
      <h3>{trans.__('Where audit records go')}</h3>
      <ul className="jp-Guardrails-changes">
        {sinks.map(({ name, behind, problem, required }) => (
          <li key={name}>
            <StatusIcon kind={problem ? 'warned' : 'passed'} />
            <span>
              <b>{name}</b> {required ? trans.__('(required)') : ''}{' '}
              {behind > 0 ? trans._n('%1 record behind', '%1 records behind', behind) : trans.__('up to date')}
              {problem && ` · ${problem}`}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
