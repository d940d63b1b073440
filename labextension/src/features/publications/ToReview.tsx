import React from 'react';

import type { AccessRequest, Publication } from '../../api/generated/openapi';
import { DataTable } from '../../components/DataTable';
import { Facts, LongText } from '../../components/text';
import { useTrans } from '../../components/translation';
import { ago } from '../../format';
import { DatasetModel } from '../../state/datasetModel';
import { DataCommands, RequestCommands } from './Command';
import { Evidence } from './Evidence';

/** What waits for this person's word. The word itself is not given here: code of a trusted notebook could give it in their name. */
export function ToReview({ model }: { model: DatasetModel }): React.JSX.Element | null {
  const trans = useTrans();
  const { openRequests: requests, published } = model;
  if (requests.length + published.toReview.length === 0) {
    return null;
  }
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Waits for a decision')} tabIndex={-1}>
      <h3>{trans.__('Waits for a decision')}</h3>
      <p className="jp-Guardrails-muted">
        {trans.__(
          'You decide in a shell outside of JupyterLab: a notebook that you trust could send a decision in your name from here.'
        )}
      </p>
      <ul className="jp-Guardrails-list">
        {published.toReview.map(one => (
          <Proposal key={one.digest} publication={one} model={model} />
        ))}
        {requests.map(one => (
          <Asked key={one.id} request={one} />
        ))}
      </ul>
    </section>
  );
}

function Proposal({ publication, model }: { publication: Publication; model: DatasetModel }): React.JSX.Element {
  const trans = useTrans();
  const [opened, setOpened] = React.useState(false);
  const { name, version, author, group, classification, description } = publication;
  const toggle = (): void => {
    setOpened(!opened);
    void model.open(name);
  };
  return (
    <li className="jp-Guardrails-dataset">
      <div className="jp-Guardrails-datasetHead">
        <button type="button" className="jp-Guardrails-disclosure" aria-expanded={opened} onClick={toggle}>
          <bdi>{name}</bdi>
        </button>
      </div>
      <p className="jp-Guardrails-description" dir="auto">
        <LongText text={description} />
      </p>
      <p className="jp-Guardrails-muted">
        <Facts parts={[trans.__('%1 proposes version %2 to %3', author, version, group), classification]} />
      </p>
      {opened && <Evidence publication={publication} />}
      {opened && <FirstRows name={name} model={model} />}
      <DataCommands publication={publication} />
    </li>
  );
}

/** The first rows of a dataset, once its details were read. */
export function FirstRows({ name, model }: { name: string; model: DatasetModel }): React.JSX.Element | null {
  const trans = useTrans();
  const detail = model.detail(name);
  if (detail?.error) {
    return <p className="jp-Guardrails-why">{detail.error.message}</p>;
  }
  const preview = detail?.value?.preview;
  return preview ? (
    <div className="jp-Guardrails-details">
      <DataTable
        title={trans.__('First rows')}
        caption={trans.__('First rows of %1', name)}
        columns={preview.columns}
        rows={preview.rows.map(row => row.map(value => value ?? <i key="none">{trans.__('none')}</i>))}
      />
    </div>
  ) : null;
}

function Asked({ request }: { request: AccessRequest }): React.JSX.Element {
  const trans = useTrans();
  const { person, dataset, days, purpose, created_at: made } = request;
  return (
    <li className="jp-Guardrails-dataset">
      <p className="jp-Guardrails-strong">{trans.__('%1 asks for %2', person, dataset)}</p>
      <p className="jp-Guardrails-muted">
        <Facts parts={[ago(made, Date.now(), trans), trans._n('for %1 day', 'for %1 days', days)]} />
      </p>
      <p dir="auto">
        <LongText text={purpose} />
      </p>
      <RequestCommands request={request} />
    </li>
  );
}
