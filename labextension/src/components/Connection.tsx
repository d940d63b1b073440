import React from 'react';

import type { Me } from '../api/generated/openapi';
import { PollModel } from '../state/pollModel';
import { VERSION } from '../version';
import { Notice } from './Notice';
import { useTrans } from './translation';

export interface IConnectionProps {
  /** The model whose answers are shown below. */
  model: PollModel;
  /** What the server said of itself; null before that. */
  me: Me | null;
}

/** What a reader should know about the connection: an answer that takes long, a server that is back, another version than this page's. */
export function Connection({ model, me }: IConnectionProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      <p className="jp-Guardrails-connection" role="status">
        {model.slow
          ? trans.__('Still waiting for the server…')
          : model.back
            ? trans.__('The server answers again.')
            : ''}
      </p>
      {me && me.version !== VERSION && (
        <Notice kind="info" title={trans.__('Page and server have different versions')}>
          <p>
            {trans.__(
              'The server part is version %1, this page is version %2: save your work and reload the page.',
              me.version ?? trans.__('unknown'),
              VERSION
            )}
          </p>
        </Notice>
      )}
    </>
  );
}
