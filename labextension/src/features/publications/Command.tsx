import React from 'react';

import type { AccessRequest, Publication } from '../../api/generated/openapi';
import { CopyButton } from '../../components/CopyButton';
import { useTrans } from '../../components/translation';
import { shellWord } from '../../format';

const DIGITS = 12;

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

/** The commands that decide about proposed data, as it is with this digest. */
export function DataCommands({ publication: { name, digest } }: { publication: Publication }): React.JSX.Element {
  const trans = useTrans();
  const command = (word: string): string =>
    `jupyter guardrails data ${word} ${shellWord(name)} --digest ${digest.slice(0, DIGITS)}`;
  return (
    <>
      <Command label={trans.__('Approve')} text={command('approve')} />
      <Command label={trans.__('Send back')} text={`${command('send-back')} --reason "…"`} />
    </>
  );
}

/** The commands that answer a request. */
export function RequestCommands({ request: { id, kind } }: { request: AccessRequest }): React.JSX.Element {
  const trans = useTrans();
  const [noun, grant] = kind === 'access' ? ['data', `grant ${id}`] : ['requests', `approve ${id} --reason "…"`];
  return (
    <>
      <Command label={trans.__('Grant')} text={`jupyter guardrails ${noun} ${grant}`} />
      <Command label={trans.__('Refuse')} text={`jupyter guardrails ${noun} refuse ${id} --reason "…"`} />
    </>
  );
}
