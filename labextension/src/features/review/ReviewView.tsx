import React from 'react';

import { EmptyState, Loading } from '../../components/EmptyState';
import { ErrorNotice, NextStep, Notice, Rule } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';
import { ReviewModel } from '../../state/reviewModel';
import { DataReview } from './DataReview';
import { JobReview } from './JobReview';
import { Queue } from './Queue';
import { RequestReview } from './RequestReview';

export interface IReviewViewProps {
  model: ReviewModel;
  datasets: DatasetModel;
}

/** What waits for this person's word at the left, the one that they look at at the right. */
export function ReviewView({ model, datasets }: IReviewViewProps): React.JSX.Element {
  const trans = useTrans();
  const { answer, error } = model;
  const trouble = error && (
    <ErrorNotice
      error={error}
      title={trans.__('What waits for you could not be read')}
      onRetry={() => void model.reload()}
    />
  );
  if (answer === null) {
    return <>{trouble || <Loading label={trans.__('Reading what waits for you')} lines={6} />}</>;
  }
  return (
    <>
      {trouble}
      {!answer.service && (
        <Notice kind="info" title={trans.__('Here a review is a self-test')}>
          <p>
            {trans.__(
              'Control runs under your own account: nobody else stands behind a decision, and it moves nothing into production.'
            )}
          </p>
        </Notice>
      )}
      <div className="jp-Guardrails-reviewColumns">
        <Queue model={model} />
        <section className="jp-Guardrails-reviewDetail" aria-label={trans.__('What you look at')}>
          <Chosen model={model} datasets={datasets} />
        </section>
      </div>
    </>
  );
}

function Chosen({ model, datasets }: IReviewViewProps): React.JSX.Element {
  const trans = useTrans();
  const { selected, publication, request } = model;
  if (selected === null) {
    return <NothingChosen model={model} />;
  }
  if (selected.startsWith('job ')) {
    return <JobReview key={selected} model={model} />;
  }
  if (publication) {
    return <DataReview key={selected} publication={publication} datasets={datasets} />;
  }
  if (request) {
    return <RequestReview key={selected} request={request} />;
  }
  return (
    <EmptyState title={trans.__('It no longer waits for you')}>
      {trans.__('It was decided, or taken back, by somebody else.')}
    </EmptyState>
  );
}

function NothingChosen({ model }: { model: ReviewModel }): React.JSX.Element | null {
  const trans = useTrans();
  const { answer, desk } = model;
  const reviewer = answer?.reviewer;
  if (desk.waiting.length + desk.drafts.length > 0) {
    return (
      <EmptyState title={trans.__('Choose what to look at')}>
        {trans.__('You see its checks, what changed, its data and cost, and the commands that decide.')}
      </EmptyState>
    );
  }
  if (reviewer && !reviewer.allowed) {
    return (
      <Notice kind="info" title={trans.__('You review no jobs: %1', reviewer.reason)}>
        <NextStep text={reviewer.next_step} />
        {reviewer.rule && <Rule rule={reviewer.rule} />}
      </Notice>
    );
  }
  return (
    <EmptyState title={trans.__('Nothing waits for you')}>
      {trans.__(
        'Notebooks that others submit for production come here once their checks have passed, beside data that they publish and what they ask for.'
      )}
    </EmptyState>
  );
}
