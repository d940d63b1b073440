import React from 'react';

import type { Dataset } from '../../api/generated/openapi';
import { Badge, Look } from '../../components/Badge';
import { ErrorNotice, NextStep, Rule } from '../../components/Notice';
import { Facts, LongText } from '../../components/text';
import { useTrans } from '../../components/translation';
import { IRowPlace } from '../../components/VirtualList';
import { Loading } from '../../components/EmptyState';
import { DatasetModel } from '../../state/datasetModel';
import { INotebooks } from '../../state/notebooks';
import { DatasetDetails } from './DatasetDetails';
import { IInsertion, InsertButton, useInsertion } from './InsertButton';
import { RequestForm } from './RequestForm';

export interface IDatasetItemProps {
  dataset: Dataset;
  model: DatasetModel;
  notebooks: INotebooks;
  onNewNotebook: () => void;
  /** Where it stands in the whole list. */
  place: IRowPlace;
  opened: Opened;
  onOpen: (what: Opened) => void;
  /** Whether it is marked as open to this account without us; not where that is said of all. */
  advisory: boolean;
}

/** What is shown below a dataset. */
export type Opened = 'details' | 'request' | null;

/** One dataset: what it is, whether it can be used, and the one thing to do next. */
export function DatasetItem(props: IDatasetItemProps): React.JSX.Element {
  const { dataset, model, opened, onOpen, place } = props;
  const trans = useTrans();
  const head = React.useRef<HTMLButtonElement>(null);
  const close = (): void => {
    onOpen(null);
    head.current?.focus(); // the form had it, and goes
  };
  const toggleDetails = (): void => {
    if (opened !== 'details') {
      void model.open(dataset.name);
    }
    onOpen(opened === 'details' ? null : 'details');
  };
  const use = useInsertion(props);
  return (
    <li className="jp-Guardrails-dataset" data-status={dataset.status} {...place}>
      <div className="jp-Guardrails-datasetHead" data-draggable={use.drag !== undefined} onPointerDown={use.drag}>
        <button
          ref={head}
          type="button"
          className="jp-Guardrails-disclosure"
          aria-expanded={opened === 'details'}
          onClick={toggleDetails}
        >
          <bdi>{dataset.name}</bdi>
        </button>
        <StatusBadge status={dataset.status} />
      </div>
      {dataset.description && (
        <p className="jp-Guardrails-description" dir="auto">
          <LongText text={dataset.description} />
        </p>
      )}
      <p className="jp-Guardrails-muted">
        <Facts parts={[dataset.owner, dataset.classification, trans._n('%1 column', '%1 columns', dataset.columns)]} />
        <Marks dataset={dataset} advisory={props.advisory} />
      </p>
      <Why dataset={dataset} />
      <Action {...props} use={use} onRequest={() => onOpen(opened === 'request' ? null : 'request')} />
      {opened === 'request' && <RequestForm dataset={dataset.name} model={model} onDone={close} />}
      {opened === 'details' && <Details {...props} />}
    </li>
  );
}

/** What one should know before relying on it: files that are open to this account anyway, and late ones. */
function Marks({ dataset, advisory }: { dataset: Dataset; advisory: boolean }): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      {advisory && dataset.advisory && (
        <span
          className="jp-Guardrails-chip"
          title={trans.__('Your own account can open these files without Guardrails: here the policy is advice.')}
        >
          {trans.__('advisory')}
        </span>
      )}
      {dataset.fresh === false && (
        <span className="jp-Guardrails-chip" title={trans.__('Its files are older than its contract promises.')}>
          {trans.__('late')}
        </span>
      )}
    </>
  );
}

function StatusBadge({ status }: { status: Dataset['status'] }): React.JSX.Element {
  const trans = useTrans();
  const looks: Record<Dataset['status'], Look> = {
    granted: ['good', 'passed', trans.__('ready')],
    requestable: ['ask', 'ask', trans.__('on request')],
    refused: ['bad', 'locked', trans.__('refused')],
    broken: ['bad', 'broken', trans.__('broken')]
  };
  return <Badge look={looks[status]} />;
}

/** Why a dataset can't be used, and what would help. */
function Why({ dataset }: { dataset: Dataset }): React.JSX.Element | null {
  const trans = useTrans();
  if (dataset.status === 'broken') {
    return (
      <p className="jp-Guardrails-why">
        <LongText text={trans.__('Its contract has a mistake: %1', dataset.error)} />
      </p>
    );
  }
  if (dataset.status !== 'refused') {
    return null;
  }
  return (
    <div className="jp-Guardrails-why">
      {dataset.rule && <Rule rule={dataset.rule} />}
      <NextStep text={dataset.next_step} />
    </div>
  );
}

interface IActionProps extends IDatasetItemProps {
  onRequest: () => void;
  use: IInsertion;
}

function Action({
  dataset,
  model,
  notebooks,
  onNewNotebook,
  opened,
  onRequest,
  use
}: IActionProps): React.JSX.Element | null {
  const trans = useTrans();
  if (dataset.status === 'granted') {
    return notebooks.path === null ? (
      <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={onNewNotebook}>
        {trans.__('Open a notebook to use it')}
      </button>
    ) : (
      <InsertButton name={dataset.name} use={use} />
    );
  }
  const request = model.requestFor(dataset.name);
  if (request?.state === 'open') {
    return <p className="jp-Guardrails-muted">{trans.__('You asked for access; nobody has answered yet.')}</p>;
  }
  if (dataset.status !== 'requestable') {
    return null;
  }
  return (
    <button type="button" className="jp-mod-styled" aria-expanded={opened === 'request'} onClick={onRequest}>
      {trans.__('Request access')}
    </button>
  );
}

function Details({ dataset, model, notebooks }: IDatasetItemProps): React.JSX.Element {
  const trans = useTrans();
  const detail = model.detail(dataset.name);
  if (detail?.error) {
    return (
      <ErrorNotice
        error={detail.error}
        title={trans.__('The details could not be read')}
        onRetry={() => void model.open(dataset.name)}
      />
    );
  }
  if (!detail?.value) {
    return <Loading label={trans.__('Reading the details')} />;
  }
  return <DatasetDetails detail={detail.value} model={model} notebooks={notebooks} />;
}
