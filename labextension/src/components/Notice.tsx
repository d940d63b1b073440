import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { ApiError, Trouble } from '../api/errors';
import { sentence } from '../format';
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
  const trouble = troubles(error, trans)[error.trouble];
  if (trouble) {
    const { reload, kind, ...said } = trouble;
    return (
      <Notice kind={kind} title={said.title}>
        <p>
          <Prose text={said.text} />
        </p>
        {reload ? (
          <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={() => window.location.reload()}>
            {trans.__('Reload the page')}
          </button>
        ) : (
          retry
        )}
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

interface ITroubleWords {
  kind: NoticeKind;
  title: string;
  text: string;
  /** Another try of the same page is of no use. */
  reload?: boolean;
}

/** Failures that are none of what was asked for, in words; a refusal has its own. */
function troubles(error: ApiError, trans: TranslationBundle): Partial<Record<Trouble, ITroubleWords>> {
  const goesOn = trans.__('What you see may be out of date. This panel goes on by itself once the server answers.');
  return {
    offline: { kind: 'offline', title: trans.__('The server cannot be reached'), text: goesOn },
    late: {
      kind: 'offline',
      title: trans.__('The server does not answer'),
      text: `${sentence(error.message)}. ${goesOn}`
    },
    missing: {
      kind: 'info',
      title: trans.__('Guardrails does not run on this server'),
      text: trans.__(
        'This page has its panel, but the server lacks the extension `jupyter_guardrails`: start it with `jupyter guardrails lab`, or ask whoever runs it. All else works as usual.'
      )
    },
    older: {
      kind: 'info',
      title: trans.__('The server part does not know this yet'),
      text: trans.__(
        'It is older than this page: ask whoever runs the server to restart it with the version that is installed.'
      )
    },
    signed_out: {
      kind: 'warning',
      title: trans.__('You are signed out'),
      text: trans.__(
        'A page to log in, or a refusal, came in place of an answer (%1). Save your work, then reload the page and log in again.',
        error.message
      ),
      reload: true
    },
    broken: {
      kind: 'error',
      title: trans.__('The server failed at this'),
      text: trans.__('It said: %1. Try again; if it stays, its log says why.', error.message)
    }
  };
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
