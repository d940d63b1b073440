import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Quality, QualityCheck } from '../../api/generated/openapi';
import { IconKind, StatusIcon } from '../../components/StatusIcon';
import { useTrans } from '../../components/translation';
import { ago, digits } from '../../format';

const ICONS: Record<QualityCheck['state'], IconKind> = {
  passed: 'passed',
  failed: 'failed',
  not_checked: 'not_checked',
  text: 'info'
};

/** How many checks of the contract passed and when, and each of them in words. */
export function QualityState({ quality }: { quality: Quality }): React.JSX.Element {
  const trans = useTrans();
  const when = quality.checked_at ? ago(quality.checked_at, Date.now(), trans) : '';
  return (
    <>
      <h4>{trans.__('Quality')}</h4>
      <p className="jp-Guardrails-muted">{[quality.summary, when].filter(Boolean).join(', ')}</p>
      <ul className="jp-Guardrails-checks" aria-label={trans.__('Quality checks')}>
        {quality.checks.map((check, index) => (
          <CheckLine key={index} check={check} />
        ))}
      </ul>
    </>
  );
}

function CheckLine({ check }: { check: QualityCheck }): React.JSX.Element {
  const trans = useTrans();
  const words: Record<QualityCheck['state'], string> = {
    passed: trans.__('passed'),
    failed: trans.__('failed'),
    not_checked: trans.__('not checked'),
    text: ''
  };
  const title = check.limit || check.text || check.name;
  const about = [check.text === title ? '' : check.text, found(check, trans), check.severity, check.reason];
  return (
    <li className="jp-Guardrails-check" data-state={check.state}>
      <StatusIcon kind={ICONS[check.state]} />
      <div className="jp-Guardrails-checkBody">
        <span className="jp-Guardrails-checkHead">
          <span className="jp-Guardrails-checkTitle">{title}</span>
          <span className="jp-Guardrails-checkState">{words[check.state]}</span>
        </span>
        <p className="jp-Guardrails-muted">{about.filter(Boolean).join(' · ')}</p>
      </div>
    </li>
  );
}

function found(check: QualityCheck, trans: TranslationBundle): string {
  if (check.count === null) {
    return '';
  }
  const share = check.percent === null ? '' : ` (${digits(check.percent)} %)`;
  return trans.__('found: %1', `${check.count}${share}`);
}
