import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Askable, NewMore } from '../../api/generated/openapi';
import { FormFooter, IField, isPurpose, PurposeField, useSending } from '../../components/requestForm';
import { useTrans } from '../../components/translation';
import { digits } from '../../format';
import { QuotaModel } from '../../state/quotaModel';

const HOUR_S = 3600;
const HOURS = [2, 8, 24, 72, 168];

/** An amount as people say it: times are asked for in hours. */
function inHours({ unit }: Askable): boolean {
  return unit === 'seconds';
}

function shownLimit(item: Askable): number {
  return inHours(item) ? (item.limit ?? 0) / HOUR_S : (item.limit ?? 0);
}

/** Twice as much, in a number that one would have typed. */
function suggested(item: Askable): number {
  return Number((2 * shownLimit(item)).toPrecision(2));
}

function unitOf(item: Askable, trans: TranslationBundle): string {
  const units: Record<string, string> = {
    kernels: trans.__('kernels'),
    'cpu-hours': trans.__('processor-hours'),
    'memory GiB-hours': trans.__('memory GiB-hours'),
    'GPU-hours': trans.__('GPU-hours'),
    seconds: trans.__('hours')
  };
  return units[item.unit] ?? item.unit;
}

/** Ask for a bigger limit: of what, how much, for how long, for what. */
export function MoreForm({ model, onDone }: { model: QuotaModel; onDone: () => void }): React.JSX.Element | null {
  const trans = useTrans();
  const items = model.me?.more ?? [];
  const [resource, setResource] = React.useState(model.asking ?? '');
  const item = items.find(one => one.resource === resource) ?? items.find(one => one.resource.startsWith(resource));
  const [amount, setAmount] = React.useState<number | null>(null);
  const [hours, setHours] = React.useState(24);
  const [purpose, setPurpose] = React.useState('');
  const { sending, error, send } = useSending(onDone);
  if (!item) {
    return null;
  }
  const wanted = amount ?? suggested(item);
  const ready = isPurpose(purpose) && (item.limit === null || wanted > shownLimit(item));
  const submit = (event: React.FormEvent): void =>
    send(event, () => model.askForMore(askOf(item, { wanted, hours, purpose: purpose.trim() })));
  const choose = (chosen: string): void => {
    setResource(chosen);
    setAmount(null);
  };
  return (
    <form className="jp-Guardrails-form" aria-label={trans.__('More for a while')} onSubmit={submit}>
      <WhatField items={items} value={item.resource} onChange={choose} />
      {item.limit !== null && <AmountField item={item} value={wanted} onChange={setAmount} />}
      <HoursField value={hours} onChange={setHours} />
      <PurposeField value={purpose} onChange={setPurpose} />
      <p className="jp-Guardrails-muted">
        {trans.__('An admin decides. It takes effect at once, also for what runs.')}
      </p>
      <FormFooter sending={sending} error={error} ready={ready} onCancel={onDone} />
    </form>
  );
}

function askOf(item: Askable, said: { wanted: number; hours: number; purpose: string }): NewMore {
  const until = new Date(Date.now() + said.hours * HOUR_S * 1000).toISOString();
  const amount = item.limit === null ? null : inHours(item) ? Math.round(said.wanted * HOUR_S) : said.wanted;
  return { kind: 'more', resource: item.resource, amount, until, purpose: said.purpose };
}

/** It has the focus when the form opens. */
function WhatField({ items, value, onChange }: IField<string> & { items: Askable[] }): React.JSX.Element {
  const trans = useTrans();
  const first = React.useRef<HTMLSelectElement>(null);
  React.useEffect(() => first.current?.focus(), []);
  const name = (one: Askable): string =>
    one.limit === null ? one.label : trans.__('%1 (now %2 %3)', one.label, digits(shownLimit(one)), unitOf(one, trans));
  return (
    <label>
      <span className="jp-Guardrails-label">{trans.__('More of what?')}</span>
      <select
        ref={first}
        className="jp-mod-styled jp-Guardrails-select"
        value={value}
        onChange={event => onChange(event.currentTarget.value)}
      >
        {items.map(one => (
          <option key={one.resource} value={one.resource}>
            {name(one)}
          </option>
        ))}
      </select>
    </label>
  );
}

function AmountField({ item, value, onChange }: IField<number> & { item: Askable }): React.JSX.Element {
  const trans = useTrans();
  return (
    <label>
      <span className="jp-Guardrails-label">{trans.__('How much in all? (%1)', unitOf(item, trans))}</span>
      <input
        type="number"
        className="jp-mod-styled"
        min={shownLimit(item)}
        step="any"
        required
        value={Number.isNaN(value) ? '' : value}
        onChange={event => onChange(event.currentTarget.valueAsNumber)}
      />
    </label>
  );
}

function HoursField({ value, onChange }: IField<number>): React.JSX.Element {
  const trans = useTrans();
  const name = (hours: number): string =>
    hours < 24 ? trans._n('%1 hour', '%1 hours', hours) : trans._n('%1 day', '%1 days', hours / 24);
  return (
    <label>
      <span className="jp-Guardrails-label">{trans.__('For how long?')}</span>
      <select
        className="jp-mod-styled jp-Guardrails-select"
        value={value}
        onChange={event => onChange(Number(event.currentTarget.value))}
      >
        {HOURS.map(hours => (
          <option key={hours} value={hours}>
            {name(hours)}
          </option>
        ))}
      </select>
    </label>
  );
}
