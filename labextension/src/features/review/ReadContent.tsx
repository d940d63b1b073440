import React from 'react';

import type { ReviewContent } from '../../api/generated/openapi';
import { Loading } from '../../components/EmptyState';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { ReviewModel } from '../../state/reviewModel';

export interface IReadContentProps {
  model: ReviewModel;
  children: (content: ReviewContent) => React.ReactNode;
}

/** What is in the package of the job that is looked at, which is read when somebody wants to see it. */
export function ReadContent({ model, children }: IReadContentProps): React.JSX.Element {
  const trans = useTrans();
  const { content, contentError, review } = model;
  const digest = review?.submission.content_digest;
  React.useEffect(() => void model.readContent(), [model, digest]);
  if (!digest) {
    return <p className="jp-Guardrails-muted">{trans.__('It has no package yet.')}</p>;
  }
  if (contentError) {
    return (
      <ErrorNotice
        error={contentError}
        title={trans.__('Its package could not be read')}
        onRetry={() => void model.readContent()}
      />
    );
  }
  return <>{content ? children(content) : <Loading label={trans.__('Reading its package')} />}</>;
}
