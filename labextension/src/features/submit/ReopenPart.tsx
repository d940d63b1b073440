import React from 'react';

import type { Reopened } from '../../api/generated/openapi';
import { NextStep, Notice } from '../../components/Notice';
import { useTrans } from '../../components/translation';

export interface IReopenPartProps {
  reopened: Reopened | null;
  onReopen: () => Promise<void>;
}

/** Make an experiment of a job again; then where it lies, and what is other than when it was submitted. */
export function ReopenPart({ reopened, onReopen }: IReopenPartProps): React.JSX.Element {
  const trans = useTrans();
  const [opening, setOpening] = React.useState(false);
  const open = async (): Promise<void> => {
    setOpening(true);
    await onReopen();
    setOpening(false);
  };
  return (
    <>
      <div className="jp-Guardrails-row">
        <button type="button" className="jp-mod-styled" disabled={opening} onClick={() => void open()}>
          {opening ? trans.__('Reopening…') : trans.__('Reopen as experiment')}
        </button>
      </div>
      {reopened && <Outcome reopened={reopened} />}
    </>
  );
}

function Outcome({ reopened }: { reopened: Reopened }): React.JSX.Element {
  const trans = useTrans();
  const { folder, parameters, details = {}, inputs, next_step } = reopened;
  const values = Object.entries(parameters).map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  const changed = inputs.filter(({ version, now }) => now !== version);
  return (
    <Notice kind="success" title={trans.__('Reopened in %1', folder)}>
      {values.length > 0 && <p>{trans.__('It ran with %1; the form has these values again.', values.join(', '))}</p>}
      {Object.keys(details).length > 0 && <p>{trans.__('What was said of it is in the form, too.')}</p>}
      {changed.map(({ name, version, now }) => (
        <p key={name}>
          {now === null
            ? trans.__('%1: %2 then, not yours to read now', name, version)
            : trans.__('%1: %2 then, %3 now', name, version, now)}
        </p>
      ))}
      <NextStep text={next_step} />
    </Notice>
  );
}
