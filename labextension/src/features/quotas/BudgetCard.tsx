import React from 'react';

import type { Amount, Budget } from '../../api/generated/openapi';
import { Meter } from '../../components/Meter';
import { Rule } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { digits, duration } from '../../format';

/** What is used of the budget, how long it lasts, and what happens when it is used up. */
export function BudgetCard({ budget }: { budget: Budget }): React.JSX.Element {
  const trans = useTrans();
  const limited = budget.window !== '';
  const gpus = budget.gpu_hours.limit !== null || budget.gpu_hours.used > 0;
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Budget')}>
      <h3>
        {trans.__('Budget')}
        {limited && (
          <small>
            {budget.per_s
              ? trans.__('over the last %1', duration(budget.per_s, trans))
              : trans.__('in this month (UTC)')}
          </small>
        )}
      </h3>
      {!limited && <p>{trans.__('No budget is set for you.')}</p>}
      <Use label={trans.__('Processor time')} amount={budget.cpu_hours} unit={trans.__('h')} />
      <Use label={trans.__('Memory over time')} amount={budget.memory_gib_hours} unit={trans.__('GiB·h')} />
      {gpus && <Use label={trans.__('GPU time')} amount={budget.gpu_hours} unit={trans.__('h')} />}
      {budget.shared_by && <p>{trans.__('This is for everyone of %1 together.', budget.shared_by)}</p>}
      {limited && typeof budget.time_left_s === 'number' && budget.time_left_s > 0 && (
        <p>{trans.__('At the present rate this lasts for %1.', duration(budget.time_left_s, trans))}</p>
      )}
      {limited && budget.at_limit && <p className="jp-Guardrails-muted">{budget.at_limit}</p>}
      {limited && budget.rule && <Rule rule={budget.rule} />}
    </section>
  );
}

function Use({ label, amount, unit }: { label: string; amount: Amount; unit: string }): React.JSX.Element {
  return <Meter label={label} value={amount.used} max={amount.limit} format={value => `${digits(value)} ${unit}`} />;
}
