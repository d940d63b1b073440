import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { EmptyState, Loading } from '../../components/EmptyState';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { INotebooks } from '../../state/notebooks';
import { QuotaModel } from '../../state/quotaModel';
import { AccountNotices } from './AccountNotices';
import { BudgetCard } from './BudgetCard';
import { EnforcedList, LimitList } from './Enforced';
import { KernelCard } from './KernelCard';
import { MoreSection } from './MoreSection';
import { NoticeList } from './NoticeList';
import { PolicyMistakes } from './PolicyMistakes';
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
      {me.policy.errors.length > 0 && <PolicyMistakes errors={me.policy.errors} />}
      <AccountNotices me={me} />
      <NoticeList model={model} notebooks={notebooks} />
      <KernelSection model={model} />
      <ProfileChooser model={model} notebooks={notebooks} />
      {budget && <BudgetCard budget={budget} />}
      <MoreSection model={model} />
      <EnforcedList me={me} />
      <LimitList me={me} />
    </>
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
        <KernelCard key={kernel.id} kernel={kernel} model={model} current={kernel.id === currentId} />
      ))}
      {kernels.length > 0 && <p className="jp-Guardrails-muted">{atFullMemory(model, trans)}</p>}
    </section>
  );
}

/** What happens at 100 %, in one sentence. */
function atFullMemory({ me }: QuotaModel, trans: TranslationBundle): string {
  return me?.enforced.some(({ name, held }) => name === 'memory' && held)
    ? trans.__(
        'At 100% of the memory a cell gets a MemoryError; what takes more all the same is interrupted, then ended.'
      )
    : trans.__('At 100% of the memory nothing happens by itself: on this machine it is measured, not held.');
}
