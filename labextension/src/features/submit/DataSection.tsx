import React from 'react';

import type { AccessRequest, Submission } from '../../api/generated/openapi';
import { Entry } from '../../components/Badge';
import { requestLooks } from '../../components/requestLooks';
import { useTrans } from '../../components/translation';
import { DataRequests, wantedBy } from '../../state/dataRequests';
import { RequestForm } from '../datasets/RequestForm';

export interface IDataSectionProps {
  submission: Submission;
  data: DataRequests;
  /** Check the notebook once more; absent where another one is in front. */
  onCheck?: () => void;
}

/** The access that a submission lacks: asked for here, and what came of it. */
export function DataSection({ submission, data, onCheck }: IDataSectionProps): React.JSX.Element | null {
  const trans = useTrans();
  const wanted = wantedBy(submission);
  if (wanted.length === 0) {
    return null;
  }
  const asked = wanted.map(name => data.of(name, submission.person)).filter(request => request !== undefined);
  const granted = asked.length === wanted.length && asked.every(({ state }) => state === 'granted');
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Data that it needs')}>
      <h3>{trans.__('Data that it needs')}</h3>
      <ul className="jp-Guardrails-list">
        {wanted.map(name => (
          <WantedItem key={name} name={name} request={data.of(name, submission.person)} data={data} />
        ))}
      </ul>
      {granted && (
        <>
          <p role="status">{trans.__('Access was given: check the notebook again.')}</p>
          {onCheck && (
            <button type="button" className="jp-mod-styled" onClick={onCheck}>
              {trans.__('Check again')}
            </button>
          )}
        </>
      )}
    </section>
  );
}

interface IWantedItemProps {
  name: string;
  request?: AccessRequest;
  data: DataRequests;
}

function WantedItem({ name, request, data }: IWantedItemProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <Entry title={name} look={request && requestLooks(trans)[request.state]}>
      {request?.state === 'open' && <p>{trans.__('You asked for access; nobody has answered yet.')}</p>}
      {request?.reason && <p>{[request.decided_by, request.reason].filter(Boolean).join(': ')}</p>}
      {data.asking === name ? (
        <AskedFor name={name} data={data} />
      ) : (
        canAsk(request) && (
          <button type="button" className="jp-mod-styled" onClick={() => (data.asking = name)}>
            {trans.__('Request access')}
          </button>
        )
      )}
    </Entry>
  );
}

/** Whether a request is still to be made: an open one waits, a granted one is there. */
export function canAsk(request: AccessRequest | undefined): boolean {
  return request?.state !== 'open' && request?.state !== 'granted';
}

function AskedFor({ name, data }: { name: string; data: DataRequests }): React.JSX.Element {
  const form = React.useRef<HTMLDivElement>(null);
  React.useEffect(() => form.current?.querySelector('textarea')?.focus(), []);
  return (
    <div ref={form}>
      <RequestForm dataset={name} model={data} onDone={() => (data.asking = null)} />
    </div>
  );
}
