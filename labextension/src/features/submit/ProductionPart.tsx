import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Deployment, Production, Run } from '../../api/generated/openapi';
import { Entry, known, Look } from '../../components/Badge';
import { Notice } from '../../components/Notice';
import { Objections, ReviewWords } from '../../components/ReviewWords';
import { Said } from '../../components/text';
import { useTrans } from '../../components/translation';
import { ago, bytes, duration } from '../../format';

const SHOWN = 5;
/** The end of a log says most, characters. */
const MOST_LOG = 20_000;

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
          <ReviewWords words={decisions} />
        </>
      )}
      {missing.length > 0 && <p className="jp-Guardrails-muted">{trans.__('Still missing: %1', missing.join('; '))}</p>}
      <Objections objections={objections} />
      {deployments.map(deployment => (
        <DeploymentItem key={deployment.id} deployment={deployment} />
      ))}
    </div>
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
  const looks: Record<Run['state'], Look> = {
    running: ['plain', 'running', trans.__('running')],
    complete: ['good', 'passed', trans.__('complete')],
    failed: ['bad', 'failed', trans.__('failed')],
    lost: ['ask', 'warned', trans.__('lost')]
  };
  return (
    <Entry title={trans.__('Run %1', run.number)} look={known(looks, run.state)}>
      <p className="jp-Guardrails-muted">{figuresOf(run, trans).join(' · ')}</p>
      {run.drift.map(text => (
        <p key={text}>{trans.__('Its data has changed: %1', text)}</p>
      ))}
      {run.outputs.length > 0 && <p className="jp-Guardrails-muted">{trans.__('Made %1', made(run))}</p>}
      {run.error && (
        <p>
          <Said text={run.cell ? trans.__('Cell %1: %2', run.cell, run.error) : run.error} />
        </p>
      )}
      {run.log_tail && (
        <details className="jp-Guardrails-log">
          <summary>{trans.__('End of its log')}</summary>
          <pre>{run.log_tail.slice(-MOST_LOG)}</pre>
        </details>
      )}
    </Entry>
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
