import React from 'react';

import { ApiError } from '../api/errors';
import { ErrorNotice } from './Notice';
import { useTrans } from './translation';

const MIN_PURPOSE = 3;

/** Whether a purpose says enough to be sent. */
export function isPurpose(purpose: string): boolean {
  return purpose.trim().length >= MIN_PURPOSE;
}

export interface ISending {
  sending: boolean;
  error: ApiError | null;
  /** Send once; what fails leaves the form as it is. */
  send: (event: React.FormEvent, work: () => Promise<unknown>) => void;
}

/** How a form asks the server for something: `onDone` after an answer, the error otherwise. */
export function useSending(onDone: () => void): ISending {
  const [sending, setSending] = React.useState(false);
  const [error, setError] = React.useState<ApiError | null>(null);
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    setSending(true);
    setError(null);
    try {
      await work();
      onDone();
    } catch (reason) {
      setError(ApiError.from(reason));
      setSending(false);
    }
  };
  const send: ISending['send'] = (event, work) => {
    event.preventDefault();
    void attempt(work);
  };
  return { sending, error, send };
}

/** Have a form that just opened in sight as a whole, and its first field ready to be written in. */
export function showForm(form: HTMLFormElement | null): void {
  form?.querySelector<HTMLElement>('textarea, input, select')?.focus({ preventScroll: true });
  if (form && 'scrollIntoView' in form) {
    form.scrollIntoView({ block: 'nearest' });
  }
}

export interface IField<T> {
  value: T;
  onChange: (value: T) => void;
}

/** What whoever decides, and the record, read. */
export function PurposeField({ value, onChange }: IField<string>): React.JSX.Element {
  const trans = useTrans();
  return (
    <label>
      <span className="jp-Guardrails-label">{trans.__('What do you need it for?')}</span>
      <textarea
        className="jp-mod-styled"
        rows={2}
        required
        minLength={MIN_PURPOSE}
        maxLength={2000}
        value={value}
        onChange={event => onChange(event.currentTarget.value)}
      />
    </label>
  );
}

export interface IFooterProps extends Pick<ISending, 'sending' | 'error'> {
  ready: boolean;
  onCancel: () => void;
  /** What the button says; "Send request" without. */
  words?: string;
}

/** Why it was not sent, and the buttons. */
export function FormFooter({ sending, error, ready, onCancel, words }: IFooterProps): React.JSX.Element {
  const trans = useTrans();
  const shown = React.useRef<HTMLDivElement>(null);
  // Below a long form an error would stand outside of what can be seen.
  React.useEffect(() => {
    if (shown.current && 'scrollIntoView' in shown.current) {
      shown.current.scrollIntoView({ block: 'nearest' });
    }
  }, [error]);
  return (
    <>
      {error && (
        <div ref={shown}>
          <ErrorNotice
            error={error}
            title={words ? trans.__('This was not done') : trans.__('The request was not sent')}
          />
        </div>
      )}
      <div className="jp-Guardrails-row">
        <button type="submit" className="jp-mod-styled jp-mod-accept" disabled={sending || !ready}>
          {sending ? trans.__('Sending…') : (words ?? trans.__('Send request'))}
        </button>
        <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={onCancel}>
          {trans.__('Cancel')}
        </button>
      </div>
    </>
  );
}
