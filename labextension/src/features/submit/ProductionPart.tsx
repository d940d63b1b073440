import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Deployment, Production, ReviewWord, Run } from '../../api/generated/openapi';
import { Badge, Tone } from '../../components/Badge';
import { NextStep, Notice, Rule } from '../../components/Notice';
import { IconKind } from '../../components/StatusIcon';
import { useTrans } from '../../components/translation';
import { ago, bytes, duration } from '../../format';

const SHOWN = 5;

/** What became of a submission: its reviewers' words, then its runs in production. */
export function ProductionPart({ production }: { production: Production }): React.JSX.Element | null {
  const trans = useTrans();
  const { decisions, deployments, approvals, needed, missing, objections } = production;
  if (decisions.length + deployments.length + missing.length + (objections?.length ?? 0) === 0) {
    return null;
  }
  return (
    <div className="jp-Guardrails-production">
      {decisions.length > 0 && (
        <>
          <h4>{trans.__('Reviewers (%1 of %2 have approved)', approvals, needed)}</h4>
          <ul className="jp-Guardrails-list">
            {decisions.map((word, index) => (
              <WordItem key={index} word={word} />
            ))}
          </ul>
        </>
      )}
      {missing.length > 0 && <p className="jp-Guardrails-muted">{trans.__('Still missing: %1', missing.join('; '))}</p>}
      {(objections ?? []).map(({ reason, rule, next_step }) => (
        <Notice key={reason} kind="warning" title={trans.__('It may not go into production now: %1', reason)}>
          <NextStep text={next_step} />
          {rule && <Rule rule={rule} />}
        </Notice>
      ))}
      {deployments.map(deployment => (
        <DeploymentItem key={deployment.id} deployment={deployment} />
      ))}
    </div>
  );
}

function WordItem({ word }: { word: ReviewWord }): React.JSX.Element {
  const trans = useTrans();
  const looks: Record<ReviewWord['decision'], [Tone, IconKind, string]> = {
    approve: ['good', 'passed', trans.__('approved')],
    send_back: ['ask', 'warned', trans.__('sent back')],
    reject: ['bad', 'failed', trans.__('rejected')]
  };
  const [tone, icon, said] = looks[word.decision];
  return (
    <li className="jp-Guardrails-request">
      <div className="jp-Guardrails-datasetHead">
        <span className="jp-Guardrails-cardTitle">{word.reviewer}</span>
        <Badge tone={tone} icon={icon}>
          {said}
        </Badge>
      </div>
      {word.words && <p>{word.words}</p>}
      <p className="jp-Guardrails-muted">
        {[ago(word.decided_at, Date.now(), trans), word.self_test ? trans.__('a self-test, not an approval') : '']
          .filter(Boolean)
          .join(' · ')}
      </p>
    </li>
  );
}

function DeploymentItem({ deployment }: { deployment: Deployment }): React.JSX.Element {
  const trans = useTrans();
  const { engine, label, schedule, run_as, reason, runs, drift } = deployment;
  const when = schedule ? trans.__('on schedule %1', schedule) : trans.__('when it is started');
  return (
    <section aria-label={trans.__('Runs on %1', engine)}>
      <h4>{trans.__('Production: %1 on %2', label, engine)}</h4>
      <p className="jp-Guardrails-muted">{[trans.__('as %1', run_as), when, reason].filter(Boolean).join(' · ')}</p>
      {drift.length > 0 && (
        <Notice kind="warning" title={trans.__('Its data is not what it was when it was approved')}>
          {drift.map(sentence => (
            <p key={sentence}>{sentence}</p>
          ))}
        </Notice>
      )}
      {runs.length === 0 ? (
        <p className="jp-Guardrails-muted">{trans.__('It has not run yet.')}</p>
      ) : (
        <ul className="jp-Guardrails-list">
          {runs.slice(0, SHOWN).map(run => (
            <RunItem key={run.number} run={run} />
          ))}
        </ul>
      )}
    </section>
  );
}

function RunItem({ run }: { run: Run }): React.JSX.Element {
  const trans = useTrans();
  const looks: Record<Run['state'], [Tone, IconKind, string]> = {
    running: ['plain', 'running', trans.__('running')],
    complete: ['good', 'passed', trans.__('complete')],
    failed: ['bad', 'failed', trans.__('failed')],
    lost: ['ask', 'warned', trans.__('lost')]
  };
  const [tone, icon, word] = looks[run.state];
  return (
    <li className="jp-Guardrails-request">
      <div className="jp-Guardrails-datasetHead">
        <span className="jp-Guardrails-cardTitle">{trans.__('Run %1', run.number)}</span>
        <Badge tone={tone} icon={icon}>
          {word}
        </Badge>
      </div>
      <p className="jp-Guardrails-muted">{figuresOf(run, trans).join(' · ')}</p>
      {run.drift.map(text => (
        <p key={text}>{trans.__('Its data has changed: %1', text)}</p>
      ))}
      {run.outputs.length > 0 && <p className="jp-Guardrails-muted">{trans.__('Made %1', made(run))}</p>}
      {run.error && <p>{run.cell ? trans.__('Cell %1: %2', run.cell, run.error) : run.error}</p>}
      {run.log_tail && (
        <details className="jp-Guardrails-log">
          <summary>{trans.__('End of its log')}</summary>
          <pre>{run.log_tail}</pre>
        </details>
      )}
    </li>
  );
}

/** The first files that it left, with their sizes. */
function made({ outputs }: Run): string {
  const names = outputs.slice(0, SHOWN).map(one => `${one.path} (${bytes(one.size_bytes)})`);
  return [...names, ...(outputs.length > SHOWN ? ['…'] : [])].join(', ');
}

/** When it was, how long it took, how often it was tried, and the most memory that it had. */
function figuresOf({ started_at, ended_at, attempts, peak_bytes }: Run, trans: TranslationBundle): string[] {
  const parts = started_at ? [ago(started_at, Date.now(), trans)] : [];
  if (started_at && ended_at) {
    parts.push(duration((Date.parse(ended_at) - Date.parse(started_at)) / 1000, trans));
  }
  if (typeof attempts === 'number' && attempts > 1) {
    parts.push(trans.__('attempt %1', attempts));
  }
  return typeof peak_bytes === 'number' ? [...parts, trans.__('%1 at most', bytes(peak_bytes))] : parts;
}
