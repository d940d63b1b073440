import React from 'react';

import { CopyButton } from '../../components/CopyButton';
import { useTrans } from '../../components/translation';

/** A command for a shell outside of JupyterLab, to copy; `label`: what it does. */
export function Command({ label, text }: { label: string; text: string }): React.JSX.Element {
  const trans = useTrans();
  return (
    <div className="jp-Guardrails-command">
      {label && <span>{label}</span>}
      <code>{text}</code>
      <CopyButton text={text} label={trans.__('Copy the command: %1', text)} />
    </div>
  );
}
