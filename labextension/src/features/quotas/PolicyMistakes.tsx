import React from 'react';

import { Notice } from '../../components/Notice';
import { Prose } from '../../components/Prose';
import { useTrans } from '../../components/translation';

const BEFORE_CARET = 12;
const WIDEST = 23;

/** One mistake in parts: where, what, the line with the place marked, and what to do. */
export interface IMistake {
  place: string;
  message: string;
  source: string;
  hint: string;
}

/** Takes a mistake apart as the server writes it: `file:line:column: message`, the line, a caret under it, a hint; all but the first may lack. */
export function parseMistake(text: string): IMistake {
  const [first = '', ...rest] = text.split('\n').map(line => line.replace(/^ {4}/, ''));
  const [line = '', caret = ''] = rest;
  const [, place = '', message = first] = /^(?:.*\/)?([^/]+?:\d+:\d+): (.*)$/.exec(first) ?? [];
  const marked = /^ *\^$/.test(caret);
  return {
    place,
    message,
    source: marked ? excerpt(line, caret.length - 1) : '',
    hint: rest.slice(marked ? 2 : 0).join(' ')
  };
}

/** The part of a long line that a narrow panel can show, with the caret still under its letter. */
function excerpt(line: string, caret: number): string {
  const start = line.length > WIDEST ? Math.max(0, caret - BEFORE_CARET) : 0;
  const indent = start === 0 ? line.length - line.trimStart().length : 0;
  const from = Math.min(start + indent, caret);
  const shown = line.slice(from, from + WIDEST);
  const cut = from > indent ? '…' : '';
  return `${cut}${shown}${from + WIDEST < line.length ? '…' : ''}\n${' '.repeat(caret - from + cut.length)}^`;
}

/** What is wrong with the policy file, while the policy before it stays in force. */
export function PolicyMistakes({ errors }: { errors: string[] }): React.JSX.Element {
  const trans = useTrans();
  return (
    <Notice kind="warning" title={trans.__('The policy file has mistakes')}>
      <p>{trans.__('The last valid policy stays in force until whoever looks after it has mended this:')}</p>
      <ul className="jp-Guardrails-problems">
        {errors.map(error => (
          <Mistake key={error} text={error} />
        ))}
      </ul>
    </Notice>
  );
}

function Mistake({ text }: { text: string }): React.JSX.Element {
  const { place, message, source, hint } = parseMistake(text);
  return (
    <li title={text.split('\n')[0]}>
      {place && <code>{place}</code>} <Prose text={message} />
      {source && <pre>{source}</pre>}
      {hint && (
        <small>
          <Prose text={hint} />
        </small>
      )}
    </li>
  );
}
