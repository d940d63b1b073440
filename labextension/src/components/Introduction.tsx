import React from 'react';

import { useTrans } from './translation';

/** What a person reads who sees the panel for the first time: what limits are, where data is, what Submit does. */
export function Introduction({ onDone }: { onDone: () => void }): React.JSX.Element {
  const trans = useTrans();
  return (
    <section className="jp-Guardrails-introduction" aria-label={trans.__('What this panel is for')}>
      <h3>{trans.__('Three things are here')}</h3>
      <dl>
        <dt>{trans.__('Limits')}</dt>
        <dd>{trans.__('what your kernels use and may use, and how to get more: nothing ends without a warning.')}</dd>
        <dt>{trans.__('Data')}</dt>
        <dd>{trans.__('approved datasets, with the line of code that reads each, and a way to ask for others.')}</dd>
        <dt>{trans.__('Submit')}</dt>
        <dd>{trans.__('checks your notebook, says what to mend, and turns it into a job that runs without you.')}</dd>
      </dl>
      <button type="button" className="jp-mod-styled jp-mod-accept" onClick={onDone}>
        {trans.__('Got it')}
      </button>
    </section>
  );
}
