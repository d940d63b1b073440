import React from 'react';

import { CopyButton } from './CopyButton';
import { useTrans } from './translation';

/** Longer text is cut, characters. */
const CUT = 280;
/** What a person decides by is cut later, characters. */
const SAID = 4000;
/** More than this would stop the page while it is laid out, characters. */
const MOST = 20_000;

/** Short facts in a row; each is written in its own direction, and turns no other around. */
export function Facts({ parts }: { parts: ReadonlyArray<string | undefined> }): React.JSX.Element {
  return (
    <>
      {parts.filter(Boolean).map((part, index) => (
        <React.Fragment key={index}>
          {index > 0 && ' · '}
          <bdi>{part}</bdi>
        </React.Fragment>
      ))}
    </>
  );
}

interface ILongTextProps {
  text: string;
  /** More is shown when it is asked for, characters. */
  most?: number;
  className?: string;
}

/** What somebody wrote, of any length and in any script: cut, with the whole in reach. */
export function LongText({ text, most = CUT, className }: ILongTextProps): React.JSX.Element {
  const trans = useTrans();
  const [whole, setWhole] = React.useState(false);
  const shown = <bdi className={className}>{upTo(text, whole ? MOST : most)}</bdi>;
  if (text.length <= most) {
    return shown;
  }
  return (
    <>
      {shown}{' '}
      <button
        type="button"
        className="jp-Guardrails-link"
        aria-expanded={whole}
        onClick={() => setWhole(shown => !shown)}
      >
        {whole ? trans.__('Show less') : trans.__('Show all')}
      </button>
      {whole && text.length > MOST && <CopyButton text={text} label={trans.__('Copy the whole text')} />}
    </>
  );
}

/** What a reader decides by: much of it at once, with its lines. */
export function Said({ text, most = SAID }: { text: string; most?: number }): React.JSX.Element {
  return <LongText text={text} most={most} className="jp-Guardrails-said" />;
}

/** As it is, or so many characters of it: no half of one stands at the end. */
export function upTo(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
