import React from 'react';

import { ApiError } from '../api/errors';
import { Prose } from './Prose';
import { IconKind, StatusIcon } from './StatusIcon';
import { useTrans } from './translation';

export type NoticeKind = 'info' | 'warning' | 'error' | 'success' | 'offline';

const ICONS: Record<NoticeKind, IconKind> = {
  info: 'info',
  warning: 'warned',
  error: 'failed',
  success: 'passed',
  offline: 'offline'
};

export interface INoticeProps {
  kind: NoticeKind;
  title: string;
  children?: React.ReactNode;
}

/** A card that says what happened; errors and warnings are announced. */
export function Notice({ kind, title, children }: INoticeProps): React.JSX.Element {
  return (
    <div className="jp-Guardrails-notice" data-kind={kind} role={kind === 'error' ? 'alert' : 'status'}>
      <StatusIcon kind={ICONS[kind]} />
      <div className="jp-Guardrails-noticeBody">
        <strong>{title}</strong>
        {children}
      </div>
    </div>
  );
}

export interface IErrorNoticeProps {
  error: ApiError;
  /** What was being done, such as "The limits could not be read". */
  title: string;
  onRetry?: () => void;
}

/** A failure with its reason, the rule that decided and what to do next. */
export function ErrorNotice({ error, title, onRetry }: IErrorNoticeProps): React.JSX.Element {
  const trans = useTrans();
  const retry = onRetry && (
    <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={onRetry}>
      {trans.__('Try again')}
    </button>
  );
  if (error.offline) {
    return (
      <Notice kind="offline" title={trans.__('The server cannot be reached')}>
        <p>{trans.__('What you see may be out of date. This panel goes on by itself once the server answers.')}</p>
        {retry}
      </Notice>
    );
  }
  return (
    <Notice kind="error" title={title}>
      <p>
        <Prose text={error.message} />
      </p>
      <NextStep text={error.nextStep} />
      {error.rule && <Rule rule={error.rule} />}
      {retry}
    </Notice>
  );
}

/** What to do next, if there is something. */
export function NextStep({ text }: { text?: string }): React.JSX.Element | null {
  const trans = useTrans();
  return text ? (
    <p>
      <Prose text={trans.__('Next step: %1', text)} />
    </p>
  ) : null;
}

/** Which rule of the policy decided, with file and line. */
export function Rule({ rule }: { rule: string }): React.JSX.Element {
  const trans = useTrans();
  return (
    <p className="jp-Guardrails-rule">
      {trans.__('Rule')} <code>{rule}</code>
    </p>
  );
}
