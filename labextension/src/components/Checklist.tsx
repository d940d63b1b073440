import React from 'react';

import type { Check, Finding } from '../api/generated/openapi';
import { duration, sentence } from '../format';
import { Prose } from './Prose';
import { IconKind, StatusIcon } from './StatusIcon';
import { useTrans } from './translation';

/** A fix as a button: what it says, and what it does. */
export interface IFix {
  label: string;
  run: () => void;
  /** It mends the whole notebook: said once below all findings of a check. */
  whole?: boolean;
}

export interface IChecklistProps {
  checks: readonly Check[];
  /** Show a cell (counted from 0) of the checked notebook; left out where there is no such notebook. */
  onCell?: (cell: number, notebook?: string) => void;
  /** The button for a fix that can be carried out; null where there is none for it here. */
  fixOf?: (finding: Finding) => IFix | null;
}

/** The checks of a submission in order, each with its live state, what it found and how to mend that. */
export function Checklist({ checks, ...ways }: IChecklistProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <ol className="jp-Guardrails-checks" aria-label={trans.__('Checks')}>
      {checks.map(check => (
        <CheckItem key={check.name} check={check} {...ways} />
      ))}
    </ol>
  );
}

/** Where a finding leads. */
type IWays = Omit<IChecklistProps, 'checks'>;

function CheckItem({ check, ...ways }: IWays & { check: Check }): React.JSX.Element {
  const trans = useTrans();
  const words: Record<string, string | undefined> = {
    waiting: trans.__('waiting'),
    running: trans.__('running'),
    passed: trans.__('passed'),
    failed: trans.__('failed'),
    warned: trans.__('warning'),
    not_checked: trans.__('not checked')
  };
  const head = <Head check={check} word={words[check.state] ?? check.state} />;
  const counting = check.state === 'running' ? check.progress : null; // says what the detail would
  const detail = check.detail && (
    <p className="jp-Guardrails-muted">
      <Prose text={sentence(check.detail)} />
    </p>
  );
  return (
    <li className="jp-Guardrails-check" data-state={check.state}>
      <StatusIcon kind={check.state satisfies IconKind} />
      <div className="jp-Guardrails-checkBody">
        {check.state === 'passed' && check.detail ? (
          <details>
            <summary>{head}</summary>
            {detail}
          </details>
        ) : (
          <>
            {head}
            {!counting && detail}
          </>
        )}
        {counting && <Progress title={check.title} cells={check.name === 'clean_run'} {...counting} />}
        {check.findings.length > 0 && <Findings findings={check.findings} {...ways} />}
      </div>
    </li>
  );
}

function Head({ check, word }: { check: Check; word: string }): React.JSX.Element {
  const trans = useTrans();
  const passed = check.state === 'passed';
  const timed = passed && typeof check.seconds === 'number' && check.seconds >= 0.05;
  return (
    <span className="jp-Guardrails-checkHead">
      <span className="jp-Guardrails-checkTitle">{check.title}</span>
      <span className="jp-Guardrails-checkState">
        <span className={passed ? 'jp-Guardrails-srOnly' : ''}>{word} </span>
        {timed && duration(check.seconds ?? 0, trans)}
      </span>
    </span>
  );
}

interface IProgressProps {
  title: string;
  done: number;
  total: number;
  /** Whether cells are counted; what others count is what they look at. */
  cells: boolean;
}

function Progress({ title, done, total, cells }: IProgressProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <div className="jp-Guardrails-progress">
      <progress aria-label={title} value={done} max={total || 1} />
      <span>{cells ? trans.__('%1 of %2 cells', done, total) : trans.__('%1 of %2', done, total)}</span>
    </div>
  );
}

function Findings({ findings, ...ways }: IWays & { findings: Finding[] }): React.JSX.Element {
  const mended = findings.find(finding => ways.fixOf?.(finding)?.whole);
  const whole = mended && ways.fixOf?.(mended);
  return (
    <>
      <ul className="jp-Guardrails-findings">
        {findings.map((finding, index) => (
          <FindingItem key={index} finding={finding} {...ways} />
        ))}
      </ul>
      {mended?.fix && <FixText text={mended.fix} />}
      {whole && <FixButton fix={whole} />}
    </>
  );
}

function FixText({ text }: { text: string }): React.JSX.Element {
  const trans = useTrans();
  return (
    <p className="jp-Guardrails-fix">
      <b>{trans.__('Fix')}</b> <Prose text={text} />
    </p>
  );
}

function FixButton({ fix }: { fix: IFix }): React.JSX.Element {
  return (
    <button type="button" className="jp-mod-styled jp-Guardrails-small" onClick={fix.run}>
      {fix.label}
    </button>
  );
}

function FindingItem({ finding, onCell, fixOf }: IWays & { finding: Finding }): React.JSX.Element {
  const { cell, line, notebook } = finding;
  const fix = fixOf?.(finding);
  return (
    <li>
      <p>
        {notebook && <span className="jp-Guardrails-muted">{notebook} </span>}
        {typeof cell === 'number' && (
          <Place cell={cell} line={line} onCell={onCell && (() => onCell(cell, notebook))} />
        )}
        <Prose text={typeof cell === 'number' || notebook ? finding.message : sentence(finding.message)} />
      </p>
      {finding.fix && !fix?.whole && <FixText text={finding.fix} />}
      {fix && !fix.whole && <FixButton fix={fix} />}
    </li>
  );
}

interface IPlaceProps {
  cell: number;
  line?: number | null;
  onCell?: () => void;
}

function Place({ cell, line, onCell }: IPlaceProps): React.JSX.Element {
  const trans = useTrans();
  const text = typeof line === 'number' ? trans.__('Cell %1, line %2', cell + 1, line) : trans.__('Cell %1', cell + 1);
  return onCell ? (
    <button type="button" className="jp-Guardrails-link" onClick={onCell}>
      {text}
    </button>
  ) : (
    <span className="jp-Guardrails-muted">{text} </span>
  );
}
