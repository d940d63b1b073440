import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { ApiError } from '../../api/errors';
import type { Notice as LimitNotice } from '../../api/generated/openapi';
import { ErrorNotice, Notice, NoticeKind, Rule } from '../../components/Notice';
import { Prose } from '../../components/Prose';
import { useTrans } from '../../components/translation';
import { IKernelNotice, noticeKey, QuotaModel } from '../../state/quotaModel';
import { INotebooks } from '../../state/notebooks';
import { Countdown } from './Countdown';

/** What a notice is about, in a few words. */
export function noticeTitle(notice: LimitNotice, trans: TranslationBundle): string {
  const { kind, phase, share, would } = notice;
  if (phase === 'off') {
    return trans.__('Not ended after all');
  }
  if (phase === 'warned') {
    const near: Record<LimitNotice['kind'], string> = {
      budget: trans.__('Budget used up to %1%', Math.round(100 * (share ?? 0))),
      idle: trans.__('Not used for a while'),
      lifetime: trans.__('Life time nearly over')
    };
    return near[kind];
  }
  const over: Record<LimitNotice['kind'], string> = {
    budget: trans.__('Budget used up'),
    idle: trans.__('Not used for too long'),
    lifetime: trans.__('Life time over')
  };
  return would ? trans.__('%1: only said, nothing is ended', over[kind]) : over[kind];
}

/** How loud it is: nothing is urgent that nothing follows from. */
export function noticeKind({ phase, would, ends_at }: LimitNotice): NoticeKind {
  if (phase === 'off' || would) {
    return 'info';
  }
  return ends_at === null ? 'warning' : 'error';
}

export interface INoticeCardProps extends IKernelNotice {
  model: QuotaModel;
  notebooks: INotebooks;
  /** The kernel's name, where it isn't clear from the place. */
  title?: string;
  /** Show the form that asks for more. */
  onMore: (notice: LimitNotice) => void;
}

/** One limit that comes near: why, which rule, how long, and what can be done. */
export function NoticeCard({ kernel, notice, model, notebooks, title, onMore }: INoticeCardProps): React.JSX.Element {
  const trans = useTrans();
  const left = model.secondsLeft(notice);
  const heading = noticeTitle(notice, trans);
  return (
    <Notice kind={noticeKind(notice)} title={title ? `${title}: ${heading}` : heading}>
      <p className="jp-Guardrails-why">
        <Prose text={notice.reason} />
      </p>
      {left !== null && notice.ends_at !== null && (
        <Countdown label={nextStep(notice, trans)} left={() => model.secondsLeft(notice) ?? 0} />
      )}
      {notice.rule && <Rule rule={notice.rule} />}
      <Actions kernel={kernel} notice={notice} model={model} notebooks={notebooks} onMore={onMore} />
    </Notice>
  );
}

function nextStep({ kind, phase }: LimitNotice, trans: TranslationBundle): string {
  return phase === 'noticed' && kind !== 'idle' ? trans.__('Interrupted in') : trans.__('Ended in');
}

/** The buttons; a failure stays below them. */
function Actions({ kernel, notice, model, notebooks, onMore }: INoticeCardProps): React.JSX.Element {
  const trans = useTrans();
  const [working, setWorking] = React.useState(false);
  const [error, setError] = React.useState<ApiError | null>(null);
  const act = async (work: () => Promise<void>): Promise<void> => {
    setWorking(true);
    setError(null);
    await work().catch((reason: unknown) => setError(ApiError.from(reason)));
    setWorking(false);
  };
  const saveAndStop = async (): Promise<void> => {
    await notebooks.saveAll(kernel.id);
    await model.stop(kernel.id);
  };
  const can = new Set(notice.can);
  const quiet = 'jp-mod-styled jp-Guardrails-quiet';
  return (
    <>
      <div className="jp-Guardrails-row">
        {can.has('keep') && (
          <button
            type="button"
            className="jp-mod-styled"
            disabled={working}
            onClick={() => void act(() => model.keep(kernel.id))}
          >
            {trans.__('Keep')}
          </button>
        )}
        {can.has('stop') && (
          <button type="button" className="jp-mod-styled" disabled={working} onClick={() => void act(saveAndStop)}>
            {kernel.kind === 'terminal' ? trans.__('Close') : trans.__('Save and stop')}
          </button>
        )}
        {can.has('more') && (
          <button type="button" className={quiet} onClick={() => onMore(notice)}>
            {trans.__('More for a while…')}
          </button>
        )}
        {noticeKind(notice) !== 'error' && (
          <button type="button" className={quiet} onClick={() => model.hide(noticeKey(kernel, notice))}>
            {trans.__('Hide')}
          </button>
        )}
      </div>
      {error && <ErrorNotice error={error} title={trans.__('That did not work')} />}
    </>
  );
}
