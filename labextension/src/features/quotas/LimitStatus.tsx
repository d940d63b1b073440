import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { Level } from '../../components/Meter';
import { StatusIcon } from '../../components/StatusIcon';
import { useTrans } from '../../components/translation';
import { clock } from '../../format';
import { IKernelNotice, QuotaModel } from '../../state/quotaModel';
import { noticeTitle } from './NoticeCard';
import { shownNotices } from './NoticeList';

/** The notice to show at the foot of the window: what ends first, else what comes near. */
export function foremost(model: QuotaModel): IKernelNotice | null {
  const left = ({ notice }: IKernelNotice): number =>
    notice.ends_at === null ? Infinity : (model.secondsLeft(notice) ?? Infinity);
  const urgent = shownNotices(model).filter(({ notice }) => notice.phase !== 'off' && !notice.would);
  return [...urgent].sort((a, b) => left(a) - left(b))[0] ?? null;
}

function levelOf({ notice }: IKernelNotice): Level {
  return notice.ends_at !== null || (notice.share ?? 0) >= 0.95 ? 'full' : 'high';
}

/** In words and with an icon; the colour only besides. */
export function LimitStatus({ model, onOpen }: { model: QuotaModel; onOpen: () => void }): React.JSX.Element | null {
  const trans = useTrans();
  const found = foremost(model);
  const [, tick] = React.useReducer((count: number) => count + 1, 0);
  const counts = found !== null && found.notice.ends_at !== null;
  React.useEffect(() => {
    const timer = counts ? setInterval(tick, 1000) : undefined;
    return () => clearInterval(timer);
  }, [counts]);
  return (
    found && (
      <button
        type="button"
        className="jp-Guardrails-status"
        data-level={levelOf(found)}
        title={found.notice.reason}
        onClick={onOpen}
      >
        <StatusIcon kind="warned" />
        {words(found, model, trans)}
      </button>
    )
  );
}

function words({ notice }: IKernelNotice, model: QuotaModel, trans: TranslationBundle): string {
  const left = model.secondsLeft(notice);
  const title = noticeTitle(notice, trans);
  return notice.ends_at === null || left === null ? title : trans.__('%1, %2 left', title, clock(Math.ceil(left)));
}
