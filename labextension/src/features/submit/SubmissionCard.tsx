import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Production, Reopened, Submission } from '../../api/generated/openapi';
import { Checklist, IChecklistProps } from '../../components/Checklist';
import { Digest } from '../../components/Digest';
import { NextStep, Notice } from '../../components/Notice';
import { Said } from '../../components/text';
import { upTo } from '../../components/text';
import { useTrans } from '../../components/translation';
import { ago, sentence } from '../../format';
import { isChecking, isUnexplained } from '../../state/submissionModel';
import { ProductionPart } from './ProductionPart';
import { ReopenPart } from './ReopenPart';
import { StateBadge } from './StateBadge';
import { Ways } from './Ways';

/** What is said of these is why they failed; of others, in the words of whoever moved them there. */
const FAILING: ReadonlySet<Submission['state']> = new Set(['draft', 'checks_failed', 'cancelled']);
/** More of it is no headline, characters. */
const MOST_SAID = 300;
/** The words stand below, with the name of who said them. */
const DECIDED: ReadonlySet<Submission['state']> = new Set(['changes_requested', 'rejected', 'approved']);

export interface ISubmissionCardProps {
  submission: Submission;
  packageUrl: string;
  /** What became of it; undefined before it was read. */
  production?: Production;
  onCell: (cell: number, notebook?: string) => void;
  fixOf: IChecklistProps['fixOf'];
  onCancel: () => Promise<void>;
  /** What was made of it when it was reopened. */
  reopened: Reopened | null;
  onReopen: () => Promise<void>;
  onShare: (shared: boolean) => Promise<void>;
  onWithdraw: () => Promise<void>;
}

/** One submission: its state in plain words, its checks, and its package. */
export function SubmissionCard(props: ISubmissionCardProps): React.JSX.Element {
  const { submission, packageUrl, production, onCell, fixOf, onCancel } = props;
  const trans = useTrans();
  const checking = isChecking(submission);
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Submission of %1', submission.notebook)}>
      <header className="jp-Guardrails-cardHead">
        <span className="jp-Guardrails-cardTitle" title={submission.notebook}>
          {submission.name}
        </span>
        <StateBadge submission={submission} production={production} />
      </header>
      <p className="jp-Guardrails-stateLine" role="status">
        {submission.label}
      </p>
      <p className="jp-Guardrails-muted">
        {trans.__('Version %1, %2', submission.version, ago(submission.created_at, Date.now(), trans))}
      </p>
      <Outcome submission={submission} />
      {submission.reason && (
        <p>
          <Said text={trans.__('Said of its warnings: %1', submission.reason)} />
        </p>
      )}
      {checking && <Overall submission={submission} onCancel={onCancel} />}
      {production && <ProductionPart production={production} />}
      <Checklist checks={submission.checks} onCell={onCell} fixOf={fixOf} />
      {submission.package && (
        <>
          <Package submission={submission} url={packageUrl} />
          <ReopenPart reopened={props.reopened} onReopen={props.onReopen} />
        </>
      )}
      {!checking && <Ways submission={submission} onShare={props.onShare} onWithdraw={props.onWithdraw} />}
    </section>
  );
}

/** Why it ended, and what to do now. */
function Outcome({ submission }: { submission: Submission }): React.JSX.Element {
  const trans = useTrans();
  if (isUnexplained(submission)) {
    const warned = submission.checks.filter(({ state }) => state === 'warned').map(({ title }) => title);
    return (
      <Notice kind="warning" title={trans.__('There are warnings: %1', warned.join(' · '))}>
        <p>{trans.__('Mend them, or say above why it should go on all the same, and submit it again.')}</p>
      </Notice>
    );
  }
  const { state, error } = submission;
  const next = <NextStep text={submission.next_step} />;
  if (error && FAILING.has(state)) {
    return (
      <Notice kind="error" title={whatFailed(submission, trans)}>
        {next}
      </Notice>
    );
  }
  return (
    <>
      {error && !DECIDED.has(state) && (
        <p>
          <Said text={sentence(error)} />
        </p>
      )}
      {next}
    </>
  );
}

/** Checks by their titles, which a reader finds below; any other error as it is said. */
function whatFailed({ error, checks }: Submission, trans: TranslationBundle): string {
  const failed = checks.filter(({ state }) => state === 'failed').map(({ title }) => title);
  return error.startsWith('failed: ') && failed.length > 0
    ? trans.__('Failed: %1', failed.join(' · '))
    : upTo(sentence(error), MOST_SAID);
}

function Overall({ submission, onCancel }: Pick<ISubmissionCardProps, 'submission' | 'onCancel'>): React.JSX.Element {
  const trans = useTrans();
  const [ending, setEnding] = React.useState(false);
  const { checks } = submission;
  const done = checks.filter(check => check.state !== 'waiting' && check.state !== 'running').length;
  const cancel = async (): Promise<void> => {
    setEnding(true);
    await onCancel();
    setEnding(false);
  };
  return (
    <div className="jp-Guardrails-row">
      <div className="jp-Guardrails-progress">
        <progress
          aria-label={trans.__('Checks done')}
          value={checks.length ? done : undefined}
          max={checks.length || 1}
        />
        <span>{checks.length ? trans.__('%1 of %2 checks', done, checks.length) : trans.__('starting…')}</span>
      </div>
      <button
        type="button"
        className="jp-mod-styled jp-Guardrails-quiet"
        disabled={ending}
        onClick={() => void cancel()}
      >
        {trans.__('Cancel')}
      </button>
    </div>
  );
}

function Package({ submission, url }: { submission: Submission; url: string }): React.JSX.Element {
  const trans = useTrans();
  return (
    <div className="jp-Guardrails-package">
      <a href={url} download={submission.package}>
        {trans.__('Download %1', submission.package)}
      </a>
      <Digest name={trans.__('Content')} digest={submission.content_digest} />
      <Digest name={trans.__('Evidence')} digest={submission.evidence_digest} />
    </div>
  );
}
