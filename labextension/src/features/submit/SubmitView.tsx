import React from 'react';

import { EmptyState, Loading } from '../../components/EmptyState';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { baseName } from '../../format';
import { INotebooks } from '../../state/notebooks';
import { isChecking, needsReason, SubmissionModel } from '../../state/submissionModel';
import { DataSection } from './DataSection';
import { fixOf } from './fixes';
import { JobForm } from './JobForm';
import { PackagesSection } from './PackageRequests';
import { Sample, Sampling } from './Sampling';
import { send, typedAs } from './sending';
import { SubmissionCard } from './SubmissionCard';
import { SubmissionList } from './SubmissionList';

const NO_PROBLEMS = {};

export interface ISubmitViewProps {
  model: SubmissionModel;
  notebooks: INotebooks;
}

/** From the notebook in front to a production job: check, submit, follow. */
export function SubmitView({ model, notebooks }: ISubmitViewProps): React.JSX.Element {
  const trans = useTrans();
  const { shown, error, actionError } = model;
  const reopen = async (id: string): Promise<void> => {
    const made = await model.reopen(id);
    if (made) {
      model.say(made.notebook, { details: made.details, typed: typedAs(made.parameters) });
      await notebooks.reveal(made.notebook, 0);
    }
  };
  const check = (path: string): void => void send(path, { model, notebooks, trans }, { draft: true });
  return (
    <>
      <Actions key={model.notebook ?? ''} model={model} notebooks={notebooks} />
      {actionError && <ErrorNotice error={actionError} title={trans.__('This was not done')} />}
      {error && (
        <ErrorNotice
          error={error}
          title={trans.__('Your submissions could not be read')}
          onRetry={() => void model.refresh()}
        />
      )}
      {shown && (
        <SubmissionCard
          key={shown.id}
          submission={shown}
          packageUrl={model.packageUrl(shown.id)}
          production={model.production(shown.id)}
          fixOf={finding => fixOf(finding, finding.notebook ?? shown.notebook, { model, notebooks, trans })}
          onCell={(cell, notebook) => void notebooks.reveal(notebook ?? shown.notebook, cell)}
          onCancel={() => model.cancel(shown.id)}
          onShare={shared => model.share(shown.id, shared)}
          onWithdraw={() => model.withdraw(shown.id)}
          reopened={model.reopened(shown.id)}
          onReopen={() => reopen(shown.id)}
        />
      )}
      {shown && (
        <DataSection
          submission={shown}
          data={model.data}
          onCheck={shown.notebook === model.notebook ? () => check(shown.notebook) : undefined}
        />
      )}
      {!model.loaded && !error && <Loading label={trans.__('Reading your submissions')} />}
      {model.loaded && <SubmissionList model={model} />}
      {model.loaded && <PackagesSection packages={model.packages} />}
    </>
  );
}

function Actions({ model, notebooks }: ISubmitViewProps): React.JSX.Element {
  const trans = useTrans();
  const [reason, setReason] = React.useState('');
  const [sample, setSample] = React.useState<Sample>({});
  const path = model.notebook;
  const { shown } = model;
  const own = shown?.notebook === path ? shown : null;
  const warned = own !== null && needsReason(own);
  const disabled = path === null || model.sending !== null || (own !== null && isChecking(own));
  const sendIt = (draft: boolean): void => {
    if (path !== null) {
      const word = warned && !draft ? reason.trim() : '';
      void send(path, { model, notebooks, trans }, { draft, sample: draft ? sample : {}, reason: word });
    }
  };
  if (path === null) {
    return (
      <EmptyState title={trans.__('No notebook is open')}>
        {trans.__('Open the notebook that should become a production job.')}
      </EmptyState>
    );
  }
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Submit %1', baseName(path))}>
      <h3 title={path}>{baseName(path)}</h3>
      <p className="jp-Guardrails-muted">
        {trans.__('A copy is checked, run from top to bottom in a fresh kernel, and packed. You can go on working.')}
      </p>
      <JobForm
        key={path}
        said={model.said(path)}
        cell={notebooks.parameters()}
        problems={model.actionError?.fields ?? NO_PROBLEMS}
        found={model.refused(path)}
        others={() => notebooks.beside(path)}
        onChange={said => model.say(path, said)}
      />
      {warned && <Reason value={reason} onChange={setReason} />}
      <Sampling value={sample} onChange={setSample} />
      <div className="jp-Guardrails-row">
        <button
          type="button"
          className="jp-mod-styled jp-mod-accept jp-Guardrails-grow"
          disabled={disabled || (warned && reason.trim() === '')}
          onClick={() => sendIt(false)}
        >
          {model.sending === 'submit' ? trans.__('Sending…') : trans.__('Submit for production')}
        </button>
        <button
          type="button"
          className="jp-mod-styled jp-Guardrails-grow"
          disabled={disabled}
          onClick={() => sendIt(true)}
        >
          {model.sending === 'check' ? trans.__('Saving…') : trans.__('Check draft')}
        </button>
      </div>
    </section>
  );
}

function Reason({ value, onChange }: { value: string; onChange: (value: string) => void }): React.JSX.Element {
  const trans = useTrans();
  return (
    <label>
      <span className="jp-Guardrails-label">{trans.__('There are warnings: why should it go on all the same?')}</span>
      <textarea
        className="jp-mod-styled"
        rows={2}
        maxLength={2000}
        value={value}
        onChange={event => onChange(event.currentTarget.value)}
      />
    </label>
  );
}
