import React from 'react';

import type { Kernel } from '../../api/generated/openapi';
import { level } from '../../components/Meter';
import { StatusIcon } from '../../components/StatusIcon';
import { useTrans } from '../../components/translation';
import { bytes } from '../../format';

/** Memory now and its limit; amber from 80 %, red from 95 %, and always in words too. */
export function MemoryStatus({ kernel, onOpen }: { kernel: Kernel; onOpen: () => void }): React.JSX.Element {
  const trans = useTrans();
  const limit = kernel.memory_limit_bytes;
  const state = level(kernel.memory_bytes, limit);
  const use = limit
    ? trans.__('Memory %1 of %2', bytes(kernel.memory_bytes), bytes(limit))
    : trans.__('Memory %1', bytes(kernel.memory_bytes));
  const words = { fine: '', high: trans.__('high'), full: trans.__('nearly full') };
  return (
    <button
      type="button"
      className="jp-Guardrails-status"
      data-level={state}
      title={trans.__('Memory of the notebook in front. Click for all limits.')}
      onClick={onOpen}
    >
      {state !== 'fine' && <StatusIcon kind="warned" />}
      {words[state] ? trans.__('%1, %2', use, words[state]) : use}
    </button>
  );
}
