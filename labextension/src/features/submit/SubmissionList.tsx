import React from 'react';

import type { Submission } from '../../api/generated/openapi';
import { useTrans } from '../../components/translation';
import { ago } from '../../format';
import { SubmissionModel } from '../../state/submissionModel';
import { StateBadge } from './StateBadge';

/** So many can be looked over without a search. */
const FEW = 8;

/** This person's submissions, newest first; one click shows one. */
export function SubmissionList({ model }: { model: SubmissionModel }): React.JSX.Element {
  const trans = useTrans();
  const { listed, total, words } = model;
  const left = total - listed.length;
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('My submissions')}>
      <h3>
        {trans.__('My submissions')}
        {left > 0 && <small>{trans.__('%1 of %2', listed.length, total)}</small>}
      </h3>
      {(words !== '' || total > FEW) && <SearchBox model={model} />}
      {listed.length === 0 ? (
        <p className="jp-Guardrails-muted">
          {words === '' ? trans.__('None so far.') : trans.__('None of a notebook with “%1” in its path.', words)}
        </p>
      ) : (
        <ul className="jp-Guardrails-list">
          {listed.map(submission => (
            <SubmissionItem key={submission.id} submission={submission} model={model} />
          ))}
        </ul>
      )}
      {left > 0 && (
        <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={() => void model.older()}>
          {trans.__('Show older ones')}
        </button>
      )}
    </section>
  );
}

function SearchBox({ model }: { model: SubmissionModel }): React.JSX.Element {
  const trans = useTrans();
  return (
    <div role="search">
      <input
        type="search"
        className="jp-mod-styled"
        aria-label={trans.__('Search submissions')}
        placeholder={trans.__('Search by notebook…')}
        maxLength={200}
        value={model.words}
        onChange={event => model.search(event.currentTarget.value)}
      />
      <p className="jp-Guardrails-srOnly" role="status">
        {model.words === '' ? '' : trans.__('%1 submissions found', model.total)}
      </p>
    </div>
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
        <span className="jp-Guardrails-cardTitle">
          <bdi>{submission.name}</bdi>
        </span>
        <StateBadge submission={submission} />
        <span className="jp-Guardrails-muted">
          {trans.__('Version %1, %2', submission.version, ago(submission.updated_at, Date.now(), trans))}
        </span>
      </button>
    </li>
  );
}
