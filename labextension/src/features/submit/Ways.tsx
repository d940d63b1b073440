import React from 'react';

import type { Submission } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';

/** What may be shown to reviewers though nobody decides about it. */
const SHAREABLE: ReadonlySet<Submission['state']> = new Set(['draft', 'checks_failed']);
/** What its author may take back. */
const OPEN: ReadonlySet<Submission['state']> = new Set(['in_review', 'changes_requested', 'approved']);

export interface IWaysProps {
  submission: Submission;
  onShare: (shared: boolean) => Promise<void>;
  onWithdraw: () => Promise<void>;
}

/** What an author may do about a submission besides changing it: let reviewers look at a draft, take back what waits for them. */
export function Ways({ submission, onShare, onWithdraw }: IWaysProps): React.JSX.Element | null {
  const { state, self_test: selfTest } = submission;
  if (SHAREABLE.has(state) && selfTest === false) {
    return <Share submission={submission} onShare={onShare} />;
  }
  return OPEN.has(state) ? <Withdraw onWithdraw={onWithdraw} /> : null;
}

function Share({ submission, onShare }: Omit<IWaysProps, 'onWithdraw'>): React.JSX.Element {
  const trans = useTrans();
  const [sending, send] = useSending(onShare);
  const shared = submission.shared === true;
  return (
    <div className="jp-Guardrails-row">
      <button type="button" className="jp-mod-styled" disabled={sending} onClick={() => send(!shared)}>
        {shared ? trans.__('Show it to reviewers no longer') : trans.__('Show it to reviewers')}
      </button>
      <span className="jp-Guardrails-muted jp-Guardrails-grow" role="status">
        {shared ? trans.__('Reviewers may look at it; nobody decides about it.') : ''}
      </span>
    </div>
  );
}

function Withdraw({ onWithdraw }: Pick<IWaysProps, 'onWithdraw'>): React.JSX.Element {
  const trans = useTrans();
  const [asked, setAsked] = React.useState(false);
  const [sending, send] = useSending(onWithdraw);
  if (!asked) {
    return (
      <div className="jp-Guardrails-row">
        <button type="button" className="jp-mod-styled" onClick={() => setAsked(true)}>
          {trans.__('Withdraw…')}
        </button>
      </div>
    );
  }
  return (
    <div role="group" aria-label={trans.__('Withdraw')}>
      <p>
        {trans.__(
          'Nobody decides about it any more, and an approval counts no longer. Submitting it again is a new version.'
        )}
      </p>
      <div className="jp-Guardrails-row">
        <button type="button" className="jp-mod-styled jp-mod-warn" disabled={sending} onClick={() => send()}>
          {trans.__('Withdraw it')}
        </button>
        <button type="button" className="jp-mod-styled" onClick={() => setAsked(false)}>
          {trans.__('Keep it')}
        </button>
      </div>
    </div>
  );
}

/** Whether it is on its way, and what sends it. */
function useSending<A extends unknown[]>(act: (...said: A) => Promise<void>): [boolean, (...said: A) => void] {
  const [sending, setSending] = React.useState(false);
  const send = async (...said: A): Promise<void> => {
    setSending(true);
    await act(...said);
    setSending(false);
  };
  return [sending, (...said) => void send(...said)];
}
