import React from 'react';

import type { Submission } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';
import { ago } from '../../format';
import { SubmissionModel } from '../../state/submissionModel';
import { StateBadge } from './StateBadge';

/** All submissions of this person, newest first; one click shows one. */
export function SubmissionList({ model }: { model: SubmissionModel }): React.JSX.Element {
  const trans = useTrans();
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('My submissions')}>
      <h3>{trans.__('My submissions')}</h3>
      {model.submissions.length === 0 ? (
        <p className="jp-Guardrails-muted">{trans.__('None so far.')}</p>
      ) : (
        <ul className="jp-Guardrails-list">
          {model.submissions.map(submission => (
            <SubmissionItem key={submission.id} submission={submission} model={model} />
          ))}
        </ul>
      )}
    </section>
  );
}

function SubmissionItem({ submission, model }: { submission: Submission; model: SubmissionModel }): React.JSX.Element {
  const trans = useTrans();
  return (
    <li>
      <button
        type="button"
        className="jp-Guardrails-item"
        aria-current={submission.id === model.shown?.id}
        onClick={() => model.select(submission.id)}
      >
        <span className="jp-Guardrails-cardTitle">{submission.name}</span>
        <StateBadge submission={submission} />
        <span className="jp-Guardrails-muted">
          {trans.__('Version %1, %2', submission.version, ago(submission.updated_at, Date.now(), trans))}
        </span>
      </button>
    </li>
  );
}
