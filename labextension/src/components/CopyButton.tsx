import { Clipboard } from '@jupyterlab/apputils';
import React from 'react';

import { useTrans } from './translation';

const CONFIRM_MS = 2000;

/** A button that copies a text and says so. */
export function CopyButton({ text, label }: { text: string; label: string }): React.JSX.Element {
  const trans = useTrans();
  const [copied, setCopied] = React.useState(false);
  React.useEffect(() => {
    const timer = copied ? setTimeout(() => setCopied(false), CONFIRM_MS) : undefined;
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = (): void => {
    Clipboard.copyToSystem(text);
    setCopied(true);
  };
  return (
    <button type="button" className="jp-mod-styled jp-Guardrails-quiet" aria-label={label} onClick={copy}>
      <span aria-live="polite">{copied ? trans.__('Copied') : trans.__('Copy')}</span>
    </button>
  );
}
