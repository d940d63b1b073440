import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { RefusedRead } from '../../api/generated/openapi';
import { NextStep, Notice, Rule } from '../../components/Notice';
import { Prose } from '../../components/Prose';
import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';
import { refusedKey, QuotaModel } from '../../state/quotaModel';
import { RequestForm } from './RequestForm';

export interface IRefusedCardProps {
  kernelId: string;
  read: RefusedRead;
  quotas: QuotaModel;
  datasets: DatasetModel;
}

function titleOf({ dataset, status }: RefusedRead, trans: TranslationBundle): string {
  return status === 'granted' ? trans.__('%1 is open to you now', dataset) : trans.__('%1 was refused', dataset);
}

/** A dataset that a cell could not read: why, which rule, and the request that would open it. Once it is open, that. */
export function RefusedCard({ kernelId, read, quotas, datasets }: IRefusedCardProps): React.JSX.Element {
  const trans = useTrans();
  const [asking, setAsking] = React.useState(false);
  const { dataset, status, reason, rule, asked } = read;
  const done = (): void => {
    setAsking(false);
    void quotas.refresh();
  };
  return (
    <Notice kind={status === 'granted' ? 'success' : 'warning'} title={titleOf(read, trans)}>
      <p className="jp-Guardrails-why" data-verbatim={reason.startsWith(dataset)}>
        <Prose text={reason} />
      </p>
      <Next {...read} />
      {rule && <Rule rule={rule} />}
      {asking ? (
        <RequestForm dataset={dataset} model={datasets} onDone={done} />
      ) : (
        <div className="jp-Guardrails-row">
          {status === 'requestable' && !asked && (
            <button type="button" className="jp-mod-styled" onClick={() => setAsking(true)}>
              {trans.__('Request access')}
            </button>
          )}
          <button
            type="button"
            className="jp-mod-styled jp-Guardrails-quiet"
            onClick={() => quotas.hide(refusedKey(kernelId, read))}
          >
            {trans.__('Hide')}
          </button>
        </div>
      )}
    </Notice>
  );
}

/** The one thing to do; where the button does it, nothing is to be typed. */
function Next({ status, asked, next_step: nextStep }: RefusedRead): React.JSX.Element | null {
  const trans = useTrans();
  if (status === 'granted') {
    return <p>{trans.__('Run the cell again.')}</p>;
  }
  if (asked) {
    return <p>{trans.__('You asked for access; nobody has answered yet.')}</p>;
  }
  return status === 'requestable' ? null : <NextStep text={nextStep} />;
}
