import React from 'react';

import { useTrans } from '../../components/translation';

/** Why nothing is decided from here, in one sentence. */
export function WhyOutside(): React.JSX.Element {
  const trans = useTrans();
  return (
    <p className="jp-Guardrails-muted">
      {trans.__(
        'You decide in a shell outside of JupyterLab: a notebook that you trust could send a decision in your name from here.'
      )}
    </p>
  );
}
