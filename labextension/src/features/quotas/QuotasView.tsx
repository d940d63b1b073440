import React from 'react';

import { EmptyState, Loading } from '../../components/EmptyState';
import { ErrorNotice, Notice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { INotebooks } from '../../state/notebooks';
import { QuotaModel } from '../../state/quotaModel';
import { BudgetCard } from './BudgetCard';
import { EnforcedList, LimitList } from './Enforced';
import { KernelCard } from './KernelCard';
import { ProfileChooser } from './ProfileChooser';

export interface IQuotasViewProps {
  model: QuotaModel;
  notebooks: INotebooks;
}

/** Limits: what each kernel uses, what is left, what is enforced here and by whom. */
export function QuotasView({ model, notebooks }: IQuotasViewProps): React.JSX.Element {
  const trans = useTrans();
  const { me, budget, error } = model;
  const problem = error && (
    <ErrorNotice error={error} title={trans.__('The limits could not be read')} onRetry={() => void model.reload()} />
  );
  if (!me) {
    return problem ?? <Loading label={trans.__('Reading your limits')} lines={5} />;
  }
  return (
    <>
      {problem}
      {me.policy.errors.length > 0 && <PolicyErrors errors={me.policy.errors} />}
      <KernelSection model={model} />
      <ProfileChooser model={model} notebooks={notebooks} />
      {budget && <BudgetCard budget={budget} />}
      <EnforcedList me={me} />
      <LimitList me={me} />
    </>
  );
}

function PolicyErrors({ errors }: { errors: string[] }): React.JSX.Element {
  const trans = useTrans();
  return (
    <Notice kind="warning" title={trans.__('The policy file has mistakes')}>
      <p>{trans.__('The last valid policy stays in force until whoever looks after it has mended this:')}</p>
      <ul className="jp-Guardrails-problems">
        {errors.map(error => (
          <li key={error}>
            <code>{error}</code>
          </li>
        ))}
      </ul>
    </Notice>
  );
}

function KernelSection({ model }: { model: QuotaModel }): React.JSX.Element {
  const trans = useTrans();
  const kernels = model.kernels?.kernels ?? [];
  const currentId = model.current?.id;
  const ordered = [...kernels].sort((a, b) => Number(b.id === currentId) - Number(a.id === currentId));
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Running kernels')}>
      <h3>
        {trans.__('Running now')}
        {model.kernels && <small>{trans.__('%1 of at most %2', kernels.length, model.kernels.max)}</small>}
      </h3>
      {kernels.length === 0 && (
        <EmptyState title={trans.__('Nothing is running')}>
          {trans.__('Open a notebook: its memory and processor use show here.')}
        </EmptyState>
      )}
      {ordered.map(kernel => (
        <KernelCard key={kernel.id} kernel={kernel} current={kernel.id === currentId} />
      ))}
    </section>
  );
}
