import React from 'react';

import { CopyButton } from './CopyButton';
import { useTrans } from './translation';

const DIGITS = 12;

/** A digest by its first digits, with a button that copies all of it; nothing where there is none. */
export function Digest({ name, digest }: { name: string; digest: string }): React.JSX.Element | null {
  const trans = useTrans();
  if (!digest) {
    return null;
  }
  return (
    <div className="jp-Guardrails-digest">
      <span>{name}</span>
      <code title={digest}>{digest.slice(0, DIGITS)}</code>
      <CopyButton text={digest} label={trans.__('Copy the whole digest: %1', name)} />
    </div>
  );
}
