import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Scope } from '../../api/client';
import { EmptyState, Loading } from '../../components/EmptyState';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';
import { INotebooks } from '../../state/notebooks';
import { OwnPublications } from '../publications/OwnPublications';
import { ToReview } from '../publications/ToReview';
import { DatasetItem } from './DatasetItem';
import { Jumps } from './Jumps';
import { RequestList } from './RequestList';

export interface IDatasetsViewProps {
  model: DatasetModel;
  notebooks: INotebooks;
  /** Open a new notebook, for people who have none to insert into. */
  onNewNotebook: () => void;
}

/** Approved data: search, use, ask for. */
export function DatasetsView({ model, notebooks, onNewNotebook }: IDatasetsViewProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      <SearchBox model={model} />
      {model.error && (
        <ErrorNotice
          error={model.error}
          title={trans.__('The datasets could not be read')}
          onRetry={() => void model.refresh()}
        />
      )}
      <Jumps model={model} />
      <Results model={model} notebooks={notebooks} onNewNotebook={onNewNotebook} />
      <ToReview model={model} />
      <RequestList requests={model.requests} />
      {model.loaded && <OwnPublications published={model.published} />}
    </>
  );
}

function SearchBox({ model }: { model: DatasetModel }): React.JSX.Element {
  const trans = useTrans();
  // Kept here too: the model redraws later than the browser types, and a cursor must not jump.
  const [text, setText] = React.useState(model.query);
  const type = (query: string): void => {
    setText(query);
    model.search(query);
  };
  return (
    <div className="jp-Guardrails-search" role="search">
      <input
        type="search"
        className="jp-mod-styled"
        aria-label={trans.__('Search datasets')}
        placeholder={trans.__('Search name, column, owner…')}
        maxLength={200}
        value={text}
        onChange={event => type(event.currentTarget.value)}
      />
    </div>
  );
}

function Filter({ model }: { model: DatasetModel }): React.JSX.Element {
  const trans = useTrans();
  return (
    <select
      className="jp-mod-styled jp-Guardrails-select"
      aria-label={trans.__('Which datasets to show')}
      value={model.scope}
      onChange={event => model.filter(event.currentTarget.value as Scope)}
    >
      <option value="all">{trans.__('All')}</option>
      <option value="granted">{trans.__('Ready to use')}</option>
      <option value="requestable">{trans.__('On request')}</option>
    </select>
  );
}

function Results({ model, notebooks, onNewNotebook }: IDatasetsViewProps): React.JSX.Element | null {
  const trans = useTrans();
  if (!model.loaded) {
    return model.error ? null : <Loading label={trans.__('Reading the catalogue')} lines={5} />;
  }
  const empty = model.datasets.length === 0 && !model.searching;
  const allAdvisory = model.datasets.length > 1 && model.datasets.every(dataset => dataset.advisory);
  return (
    <div aria-busy={model.searching}>
      <div className="jp-Guardrails-listHead">
        <p className="jp-Guardrails-count" role="status">
          {count(model, trans)}
        </p>
        <Filter model={model} />
      </div>
      {empty && <NothingFound model={model} />}
      {allAdvisory && (
        <p className="jp-Guardrails-muted">
          {trans.__('Your own account can open all these files without Guardrails: here the policy is advice.')}
        </p>
      )}
      <ul className="jp-Guardrails-list">
        {model.datasets.map(dataset => (
          <DatasetItem
            key={dataset.name}
            dataset={dataset}
            model={model}
            notebooks={notebooks}
            onNewNotebook={onNewNotebook}
            advisory={!allAdvisory}
          />
        ))}
      </ul>
    </div>
  );
}

function count(model: DatasetModel, trans: TranslationBundle): string {
  if (model.searching) {
    return trans.__('Searching…');
  }
  const found = trans._n('%1 dataset', '%1 datasets', model.total);
  return model.total > model.datasets.length ? trans.__('%1, the first %2 shown', found, model.datasets.length) : found;
}

function NothingFound({ model }: { model: DatasetModel }): React.JSX.Element {
  const trans = useTrans();
  if (model.query || model.scope !== 'all') {
    return (
      <EmptyState title={trans.__('Nothing found')}>
        {trans.__('Try another word: names, descriptions, columns and owners are searched.')}
      </EmptyState>
    );
  }
  return (
    <EmptyState title={trans.__('No dataset is open to you yet')}>
      {trans.__('Whoever looks after the catalogue adds datasets; they show here without a restart.')}
    </EmptyState>
  );
}
