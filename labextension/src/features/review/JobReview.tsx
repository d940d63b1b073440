import React from 'react';

import type { Review, Submission } from '../../api/generated/openapi';
import { Checklist } from '../../components/Checklist';
import { Digest } from '../../components/Digest';
import { Loading } from '../../components/EmptyState';
import { ErrorNotice } from '../../components/Notice';
import { Said } from '../../components/text';
import { tabId, Tabs } from '../../components/Tabs';
import { useTrans } from '../../components/translation';
import { ago } from '../../format';
import { ReviewModel } from '../../state/reviewModel';
import { StateBadge } from '../submit/StateBadge';
import { Changes } from './Changes';
import { CleanRun } from './CleanRun';
import { DataAndCost } from './DataAndCost';
import { Decide } from './Decide';

const PANEL = 'jp-guardrails-review';
const MOST_TITLE = 120;

/** One job: what it is, and its evidence part by part. */
export function JobReview({ model }: { model: ReviewModel }): React.JSX.Element {
  const trans = useTrans();
  const { review, reviewError } = model;
  return (
    <>
      {reviewError && (
        <ErrorNotice
          error={reviewError}
          title={trans.__('This job could not be read')}
          onRetry={() => void model.reload()}
        />
      )}
      {review ? (
        <Job model={model} review={review} />
      ) : (
        !reviewError && <Loading label={trans.__('Reading this job')} lines={5} />
      )}
    </>
  );
}

function Job({ model, review }: { model: ReviewModel; review: Review }): React.JSX.Element {
  const trans = useTrans();
  const [part, setPart] = React.useState('checks');
  const { submission } = review;
  const parts: Array<[string, string, () => React.JSX.Element]> = [
    ['checks', trans.__('Checks'), () => <Checks submission={submission} />],
    ['changes', trans.__('What changed'), () => <Changes model={model} />],
    ['run', trans.__('Clean run'), () => <CleanRun model={model} />],
    ['data', trans.__('Data and cost'), () => <DataAndCost model={model} review={review} />],
    ['decide', trans.__('Decide'), () => <Decide review={review} />]
  ];
  const chosen = parts.find(([id]) => id === part);
  return (
    <>
      <Headline submission={submission} />
      <Tabs
        label={trans.__('Evidence')}
        tabs={parts.map(([id, label]) => ({ id, label, panelId: `${PANEL}-${id}` }))}
        selected={part}
        onSelect={setPart}
      />
      <div role="tabpanel" id={`${PANEL}-${part}`} aria-labelledby={tabId(`${PANEL}-${part}`)} tabIndex={0}>
        {chosen?.[2]()}
      </div>
    </>
  );
}

function Headline({ submission }: { submission: Submission }): React.JSX.Element {
  const trans = useTrans();
  const { name, version, person, notebook, created_at: made } = submission;
  return (
    <header className="jp-Guardrails-reviewHead">
      <h2>
        <Said text={`${name}-${version}`} most={MOST_TITLE} />
        <StateBadge submission={submission} />
      </h2>
      <p className="jp-Guardrails-muted">
        <Said text={person} most={MOST_TITLE} />
        {` · ${ago(made, Date.now(), trans)} · `}
        <Said text={notebook} most={MOST_TITLE} />
      </p>
      <p role="status">{submission.label}</p>
      <div className="jp-Guardrails-reviewDigests">
        <Digest name={trans.__('Content')} digest={submission.content_digest} />
        <Digest name={trans.__('Evidence')} digest={submission.evidence_digest} />
      </div>
    </header>
  );
}

function Checks({ submission }: { submission: Submission }): React.JSX.Element {
  const trans = useTrans();
  const { person, reason, checks } = submission;
  return (
    <>
      {reason && (
        <p>
          {trans.__('%1 on its warnings:', person)} <Said text={reason} />
        </p>
      )}
      <Checklist checks={checks} />
    </>
  );
}
