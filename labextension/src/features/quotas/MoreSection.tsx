import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { AccessRequest } from '../../api/generated/openapi';
import { Entry } from '../../components/Badge';
import { answerOf, requestLooks } from '../../components/requestLooks';
import { LongText } from '../../components/text';
import { useTrans } from '../../components/translation';
import { digits, moment } from '../../format';
import { QuotaModel } from '../../state/quotaModel';
import { MoreForm } from './MoreForm';

const SHOWN = 5;

/** Ask for a bigger limit until a time, and what became of it. */
export function MoreSection({ model }: { model: QuotaModel }): React.JSX.Element | null {
  const trans = useTrans();
  if ((model.me?.more ?? []).length === 0) {
    return null;
  }
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('More for a while')}>
      <h3>{trans.__('More for a while')}</h3>
      {model.asking === null ? (
        <button type="button" className="jp-mod-styled" onClick={() => (model.asking = '')}>
          {trans.__('Ask for more…')}
        </button>
      ) : (
        <MoreForm key={model.asking} model={model} onDone={() => (model.asking = null)} />
      )}
      <ul className="jp-Guardrails-list">
        {model.requests.slice(0, SHOWN).map(request => (
          <MoreItem key={request.id} request={request} model={model} />
        ))}
      </ul>
    </section>
  );
}

function MoreItem({ request, model }: { request: AccessRequest; model: QuotaModel }): React.JSX.Element {
  const trans = useTrans();
  const name = model.me?.more.find(({ resource }) => resource === request.resource)?.label ?? request.resource;
  return (
    <Entry title={name} look={requestLooks(trans)[request.state]}>
      <p className="jp-Guardrails-muted">{[amountOf(request, trans), untilOf(request, trans)].join(' · ')}</p>
      {request.state !== 'open' && (
        <p>
          <LongText text={answerOf(request, trans)} />
        </p>
      )}
    </Entry>
  );
}

function amountOf({ amount, resource }: AccessRequest, trans: TranslationBundle): string {
  if (typeof amount !== 'number') {
    return trans.__('this profile');
  }
  return ['idle', 'lifetime'].includes(resource ?? '')
    ? trans.__('%1 hours', digits(amount / 3600))
    : trans.__('%1 in all', digits(amount));
}

function untilOf({ until }: AccessRequest, trans: TranslationBundle): string {
  return trans.__('until %1', moment(until ?? ''));
}
