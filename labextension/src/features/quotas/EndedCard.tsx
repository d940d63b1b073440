import React from 'react';

import type { Ended } from '../../api/generated/openapi';
import { Notice, Rule } from '../../components/Notice';
import { Prose } from '../../components/Prose';
import { useTrans } from '../../components/translation';
import { ago } from '../../format';
import { QuotaModel } from '../../state/quotaModel';

/** A kernel that a limit has ended: when, why, by which rule. */
export function EndedCard({
  ended,
  model,
  title
}: {
  ended: Ended;
  model: QuotaModel;
  title: string;
}): React.JSX.Element {
  const trans = useTrans();
  return (
    <Notice kind="warning" title={title}>
      <p className="jp-Guardrails-why">
        <Prose text={ended.reason} />
      </p>
      <p className="jp-Guardrails-muted">{ago(ended.ended_at, Date.now(), trans)}</p>
      {ended.rule && <Rule rule={ended.rule} />}
      <div className="jp-Guardrails-row">
        <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={() => model.hide(ended.id)}>
          {trans.__('Hide')}
        </button>
      </div>
    </Notice>
  );
}
