import React from 'react';

import type { Dataset } from '../../api/generated/openapi';
import { Badge, Tone } from '../../components/Badge';
import { ErrorNotice, NextStep, Rule } from '../../components/Notice';
import { IconKind } from '../../components/StatusIcon';
import { useTrans } from '../../components/translation';
import { Loading } from '../../components/EmptyState';
import { DatasetModel } from '../../state/datasetModel';
import { INotebooks } from '../../state/notebooks';
import { DatasetDetails } from './DatasetDetails';
import { RequestForm } from './RequestForm';

export interface IDatasetItemProps {
  dataset: Dataset;
  model: DatasetModel;
  notebooks: INotebooks;
  onNewNotebook: () => void;
  /** Whether it is marked as open to this account without us; not where that is said of all. */
  advisory: boolean;
}

type Opened = 'details' | 'request' | null;

/** One dataset: what it is, whether it can be used, and the one thing to do next. */
export function DatasetItem(props: IDatasetItemProps): React.JSX.Element {
  const { dataset, model } = props;
  const trans = useTrans();
  const [opened, setOpened] = React.useState<Opened>(null);
  const head = React.useRef<HTMLButtonElement>(null);
  const close = (): void => {
    setOpened(null);
    head.current?.focus(); // the form had it, and goes
  };
  const toggleDetails = (): void => {
    if (opened !== 'details') {
      void model.open(dataset.name);
    }
    setOpened(opened === 'details' ? null : 'details');
  };
  return (
    <li className="jp-Guardrails-dataset" data-status={dataset.status}>
      <div className="jp-Guardrails-datasetHead">
        <button
          ref={head}
          type="button"
          className="jp-Guardrails-disclosure"
          aria-expanded={opened === 'details'}
          onClick={toggleDetails}
        >
          {dataset.name}
        </button>
        <StatusBadge status={dataset.status} />
      </div>
      {dataset.description && <p className="jp-Guardrails-description">{dataset.description}</p>}
      <p className="jp-Guardrails-muted">
        {[dataset.owner, dataset.classification, trans._n('%1 column', '%1 columns', dataset.columns)]
          .filter(Boolean)
          .join(' · ')}
        <Marks dataset={dataset} advisory={props.advisory} />
      </p>
      <Why dataset={dataset} />
      <Action {...props} opened={opened} onRequest={() => setOpened(opened === 'request' ? null : 'request')} />
      {opened === 'request' && <RequestForm dataset={dataset.name} model={model} onDone={close} />}
      {opened === 'details' && <Opened {...props} />}
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
  const looks: Record<Dataset['status'], [Tone, IconKind, string]> = {
    granted: ['good', 'passed', trans.__('ready')],
    requestable: ['ask', 'ask', trans.__('on request')],
    refused: ['bad', 'locked', trans.__('refused')],
    broken: ['bad', 'broken', trans.__('broken')]
  };
  const [tone, icon, word] = looks[status];
  return (
    <Badge tone={tone} icon={icon}>
      {word}
    </Badge>
  );
}

/** Why a dataset can't be used, and what would help. */
function Why({ dataset }: { dataset: Dataset }): React.JSX.Element | null {
  const trans = useTrans();
  if (dataset.status === 'broken') {
    return <p className="jp-Guardrails-why">{trans.__('Its contract has a mistake: %1', dataset.error)}</p>;
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
  opened: Opened;
  onRequest: () => void;
}

function Action({
  dataset,
  model,
  notebooks,
  onNewNotebook,
  opened,
  onRequest
}: IActionProps): React.JSX.Element | null {
  const trans = useTrans();
  if (dataset.status === 'granted') {
    return notebooks.path === null ? (
      <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={onNewNotebook}>
        {trans.__('Open a notebook to use it')}
      </button>
    ) : (
      <InsertButton dataset={dataset} model={model} notebooks={notebooks} />
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

function InsertButton({
  dataset,
  model,
  notebooks
}: Omit<IDatasetItemProps, 'onNewNotebook' | 'advisory'>): React.JSX.Element {
  const trans = useTrans();
  const [problem, setProblem] = React.useState('');
  const insert = async (): Promise<void> => {
    setProblem('');
    const detail = model.detail(dataset.name)?.value ?? (await model.open(dataset.name));
    const code = detail && DatasetModel.snippet(detail, model.library);
    if (!code) {
      setProblem(model.detail(dataset.name)?.error?.message ?? trans.__('There is no code for this dataset.'));
    } else if (!notebooks.insert(code)) {
      setProblem(trans.__('This notebook is read-only.'));
    }
  };
  return (
    <>
      <button
        type="button"
        className="jp-mod-styled"
        aria-label={trans.__('Insert code that opens %1', dataset.name)}
        onClick={() => void insert()}
      >
        {trans.__('Insert')}
      </button>
      {problem && (
        <p className="jp-Guardrails-why" role="alert">
          {problem}
        </p>
      )}
    </>
  );
}

function Opened({ dataset, model, notebooks }: IDatasetItemProps): React.JSX.Element {
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
