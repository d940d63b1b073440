import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Scope } from '../../api/client';
import { EmptyState, Loading } from '../../components/EmptyState';
import { useTrans } from '../../components/translation';
import { VirtualList } from '../../components/VirtualList';
import { DatasetModel } from '../../state/datasetModel';
import { INotebooks } from '../../state/notebooks';
import { DatasetItem, IDatasetItemProps, Opened } from './DatasetItem';

/** About what a dataset with a line of description takes, pixels. */
const ROW_HEIGHT = 118;

export interface IResultsProps {
  model: DatasetModel;
  notebooks: INotebooks;
  onNewNotebook: () => void;
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

/** How many there are, and the list: what can be used first. */
export function Results({ model, notebooks, onNewNotebook }: IResultsProps): React.JSX.Element | null {
  const trans = useTrans();
  if (!model.loaded) {
    return model.error ? null : <Loading label={trans.__('Reading the catalogue')} lines={5} />;
  }
  const empty = model.total === 0 && !model.searching;
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
      <Rows model={model} notebooks={notebooks} onNewNotebook={onNewNotebook} advisory={!allAdvisory} />
    </div>
  );
}

function Rows({
  model,
  ...others
}: Omit<IDatasetItemProps, 'dataset' | 'place' | 'opened' | 'onOpen'>): React.JSX.Element {
  const trans = useTrans();
  const [opened, setOpened] = React.useState<ReadonlyMap<string, Opened>>(new Map());
  const open = (name: string, what: Opened): void => setOpened(known => new Map(known).set(name, what));
  // A form keeps what was typed into it, wherever the list is scrolled to.
  const forms = [...opened].filter(([, what]) => what === 'request').map(([name]) => model.pages.indexOf(name));
  return (
    <VirtualList
      label={trans.__('Datasets')}
      count={model.total}
      resetKey={model.pages.key ?? ''}
      rowHeight={ROW_HEIGHT}
      pinned={forms}
      onShow={(first, last) => model.look(first, last)}
      row={place => {
        const dataset = model.pages.at(place['data-index']);
        return dataset ? (
          <DatasetItem
            {...others}
            key={dataset.name}
            model={model}
            dataset={dataset}
            place={place}
            opened={opened.get(dataset.name) ?? null}
            onOpen={what => open(dataset.name, what)}
          />
        ) : (
          <li key={place['data-index']} className="jp-Guardrails-dataset" style={{ height: ROW_HEIGHT }} {...place}>
            <span className="jp-Guardrails-muted">{trans.__('Reading…')}</span>
          </li>
        );
      }}
    />
  );
}

function count(model: DatasetModel, trans: TranslationBundle): string {
  if (model.searching) {
    return trans.__('Searching…');
  }
  return trans._n('%1 dataset', '%1 datasets', model.total);
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
