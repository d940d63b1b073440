import React from 'react';

import { useTrans } from '../../components/translation';
import { INotebooks } from '../../state/notebooks';
import { askedBy, IKernelNotice, QuotaModel } from '../../state/quotaModel';
import { EndedCard } from './EndedCard';
import { kernelTitle } from './KernelCard';
import { NoticeCard } from './NoticeCard';

/** A budget is everybody's and told once, for the notebook in front where it is one of them; idle and life time belong to one kernel each. */
export function shownNotices(model: QuotaModel): readonly IKernelNotice[] {
  const { notices, current } = model;
  const rank = ({ kernel, notice }: IKernelNotice): number =>
    Number(kernel.id !== current?.id) + 2 * Number(notice.ends_at === null);
  const budget = notices.filter(({ notice }) => notice.kind === 'budget').sort((a, b) => rank(a) - rank(b));
  return [...budget.slice(0, 1), ...notices.filter(({ notice }) => notice.kind !== 'budget')];
}

/** Every limit that comes near, and what a limit has ended. */
export function NoticeList({ model, notebooks }: { model: QuotaModel; notebooks: INotebooks }): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      {shownNotices(model).map(({ kernel, notice }) => (
        <NoticeCard
          key={`${kernel.id} ${notice.kind}`}
          kernel={kernel}
          notice={notice}
          model={model}
          notebooks={notebooks}
          title={notice.kind === 'budget' ? undefined : kernelTitle(kernel, trans)}
          onMore={said => (model.asking = askedBy(said))}
        />
      ))}
      {model.ended.map(ended => (
        <EndedCard
          key={ended.id}
          ended={ended}
          model={model}
          title={trans.__('%1 was ended', kernelTitle(ended, trans))}
        />
      ))}
    </>
  );
}
