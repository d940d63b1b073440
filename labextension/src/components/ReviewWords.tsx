import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Production, ReviewDecision, ReviewWord } from '../api/generated/openapi';
import { ago, moment } from '../format';
import { Entry, known, Look } from './Badge';
import { NextStep, Notice, Rule } from './Notice';
import { Said } from './text';
import { useTrans } from './translation';

/** What a reviewer said; its author is not told the terms. */
type Word = ReviewWord & Partial<Pick<ReviewDecision, 'conditions' | 'datasets' | 'ends_at'>>;

/** Who decided what, in which words, and on which terms. */
export function ReviewWords({ words }: { words: readonly Word[] }): React.JSX.Element {
  return (
    <ul className="jp-Guardrails-list">
      {words.map((word, index) => (
        <WordItem key={index} word={word} />
      ))}
    </ul>
  );
}

function WordItem({ word }: { word: Word }): React.JSX.Element {
  const trans = useTrans();
  const looks: Record<ReviewWord['decision'], Look> = {
    approve: ['good', 'passed', trans.__('approved')],
    send_back: ['ask', 'warned', trans.__('sent back')],
    reject: ['bad', 'failed', trans.__('rejected')]
  };
  return (
    <Entry title={<Said text={word.reviewer} />} look={known(looks, word.decision)}>
      {word.words && (
        <p>
          <Said text={word.words} />
        </p>
      )}
      {word.conditions && (
        <p>
          {trans.__('If:')} <Said text={word.conditions} />
        </p>
      )}
      <p className="jp-Guardrails-muted">{terms(word, trans).join(' · ')}</p>
    </Entry>
  );
}

function terms({ decided_at: at, ends_at: end, datasets, self_test: test }: Word, trans: TranslationBundle): string[] {
  return [
    ago(at, Date.now(), trans),
    end ? trans.__('until %1', moment(end)) : '',
    datasets?.length ? trans.__('for %1', datasets.join(', ')) : '',
    test ? trans.__('a self-test, not an approval') : ''
  ].filter(Boolean);
}

/** Why what was approved may not go into production now. */
export function Objections({ objections }: { objections: Production['objections'] }): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      {(objections ?? []).map(({ reason, rule, next_step: next }) => (
        <Notice key={reason} kind="warning" title={trans.__('It may not go into production now: %1', reason)}>
          <NextStep text={next} />
          {rule && <Rule rule={rule} />}
        </Notice>
      ))}
    </>
  );
}
