import React from 'react';

import type { AccessRequest, Publication } from '../../api/generated/openapi';
import { DataTable } from '../../components/DataTable';
import { useTrans } from '../../components/translation';
import { ago } from '../../format';
import { DatasetModel } from '../../state/datasetModel';
import { Command } from './Command';
import { Evidence } from './Evidence';

const DIGITS = 12;

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
  const { name, version, author, group, classification, digest, description } = publication;
  const toggle = (): void => {
    setOpened(!opened);
    void model.open(name);
  };
  const command = (decision: string, more = ''): string =>
    `jupyter guardrails data ${decision} ${name} --digest ${digest.slice(0, DIGITS)}${more}`;
  return (
    <li className="jp-Guardrails-dataset">
      <div className="jp-Guardrails-datasetHead">
        <button type="button" className="jp-Guardrails-disclosure" aria-expanded={opened} onClick={toggle}>
          {name}
        </button>
      </div>
      <p className="jp-Guardrails-description">{description}</p>
      <p className="jp-Guardrails-muted">
        {[trans.__('%1 proposes version %2 to %3', author, version, group), classification].join(' · ')}
      </p>
      {opened && <Evidence publication={publication} />}
      {opened && <FirstRows name={name} model={model} />}
      <Command label={trans.__('Approve')} text={command('approve')} />
      <Command label={trans.__('Send back')} text={command('send-back', ' --reason "…"')} />
    </li>
  );
}

function FirstRows({ name, model }: { name: string; model: DatasetModel }): React.JSX.Element | null {
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
  const { id, person, dataset, days, purpose, created_at: made } = request;
  return (
    <li className="jp-Guardrails-dataset">
      <p className="jp-Guardrails-strong">{trans.__('%1 asks for %2', person, dataset)}</p>
      <p className="jp-Guardrails-muted">
        {[ago(made, Date.now(), trans), trans._n('for %1 day', 'for %1 days', days)].join(' · ')}
      </p>
      <p>{purpose}</p>
      <Command label={trans.__('Grant')} text={`jupyter guardrails data grant ${id}`} />
      <Command label={trans.__('Refuse')} text={`jupyter guardrails data refuse ${id} --reason "…"`} />
    </li>
  );
}
