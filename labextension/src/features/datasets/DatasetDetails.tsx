import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Column, DatasetDetail } from '../../api/generated/openapi';
import { CopyButton } from '../../components/CopyButton';
import { DataTable } from '../../components/DataTable';
import { Rule } from '../../components/Notice';
import { Facts, LongText } from '../../components/text';
import { useTrans } from '../../components/translation';
import { ago, bytes } from '../../format';
import { DatasetModel } from '../../state/datasetModel';
import { INotebooks } from '../../state/notebooks';
import { librariesFor, snippetFor } from '../../state/snippets';
import { whyNoCode } from './insertion';
import { QualityState } from './Quality';

export interface IDatasetDetailsProps {
  detail: DatasetDetail;
  model: DatasetModel;
  notebooks: INotebooks;
}

/** Columns with their masks, the first rows, and code to open it. */
export function DatasetDetails({ detail, model, notebooks }: IDatasetDetailsProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <div className="jp-Guardrails-details">
      <p className="jp-Guardrails-muted">
        <Facts parts={facts(detail, trans)} />
      </p>
      {detail.schema.length === 0 ? (
        <p className="jp-Guardrails-muted">{trans.__('Its contract names no columns.')}</p>
      ) : (
        <DataTable
          title={trans.__('Columns')}
          caption={trans.__('Columns of %1', detail.name)}
          wrap
          columns={[trans.__('Column'), trans.__('Type'), trans.__('Notes')]}
          rows={detail.schema.map(column => [
            <code key="name">{column.name}</code>,
            column.type,
            <LongText key="notes" text={notes(column, trans)} />
          ])}
        />
      )}
      {detail.quality && <QualityState quality={detail.quality} />}
      {detail.preview && (
        <DataTable
          title={trans.__('First rows')}
          caption={trans.__('First rows of %1', detail.name)}
          columns={detail.preview.columns}
          rows={detail.preview.rows.map(row => row.map(value => value ?? <i key="none">{trans.__('none')}</i>))}
        />
      )}
      {Object.keys(detail.snippets).length > 0 && <Snippets detail={detail} model={model} notebooks={notebooks} />}
      {detail.rule && <Rule rule={detail.rule} />}
    </div>
  );
}

function facts(detail: DatasetDetail, trans: TranslationBundle): string[] {
  const size = typeof detail.size_bytes === 'number' ? bytes(detail.size_bytes) : '';
  const age = detail.updated_at ? trans.__('updated %1', ago(detail.updated_at, Date.now(), trans)) : '';
  const names = detail.inputs.map(input => [input.name, input.version].filter(Boolean).join(' '));
  const inputs = names.length > 0 ? trans.__('made of %1', names.join(', ')) : '';
  const job = detail.produced_by ? trans.__('made by %1', detail.produced_by.text) : '';
  const counts = detail.sha256 ? trans.__('jobs read only the file with sha256 %1…', detail.sha256.slice(0, 12)) : '';
  return [detail.version && trans.__('version %1', detail.version), detail.format, size, age, inputs, job, counts];
}

function notes(column: Column, trans: TranslationBundle): string {
  const mask = column.mask && trans.__('masked: %1', column.mask);
  return [column.description, column.classification, mask].filter(Boolean).join(' · ');
}

function Snippets({ detail, model, notebooks }: IDatasetDetailsProps): React.JSX.Element {
  const trans = useTrans();
  const fitting = librariesFor(detail.snippets, notebooks.language);
  const language = fitting.length > 0 ? notebooks.language : null;
  const names = librariesFor(detail.snippets, language);
  const { library = '', code = '' } = snippetFor(detail.snippets, language, model.library) ?? {};
  return (
    <div className="jp-Guardrails-snippets">
      <h4>{trans.__('Code')}</h4>
      <div className="jp-Guardrails-row">
        <select
          className="jp-mod-styled jp-Guardrails-select"
          aria-label={trans.__('Library')}
          value={library}
          onChange={event => model.chooseLibrary(event.currentTarget.value)}
        >
          {names.map(name => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <CopyButton text={code} label={trans.__('Copy the code')} />
        <button
          type="button"
          className="jp-mod-styled jp-Guardrails-quiet"
          disabled={notebooks.path === null || fitting.length === 0}
          aria-label={trans.__('Insert this code')}
          onClick={() => void notebooks.insert(code)}
        >
          {trans.__('Insert')}
        </button>
      </div>
      {fitting.length === 0 && (
        <p className="jp-Guardrails-muted">{whyNoCode(detail, notebooks.language, model, detail.name, trans)}</p>
      )}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- a scrolling region must be reachable by keyboard */}
      <pre className="jp-Guardrails-code" role="region" aria-label={trans.__('Code')} tabIndex={0}>
        {code}
      </pre>
    </div>
  );
}
