import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import { useTrans } from '../../components/translation';
import { ago } from '../../format';
import { IDeskItem, ReviewModel } from '../../state/reviewModel';
import { Beginning } from './Beginning';

const FILTERED_FROM = 8;
const MOST_TITLE = 120;
const MOST_WHAT = 200;
const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };

/** All that waits, drafts that are shown, and what was decided lately: one stop of the tab key, arrows move in it. */
export function Queue({ model }: { model: ReviewModel }): React.JSX.Element {
  const trans = useTrans();
  const [filter, setFilter] = React.useState('');
  const { waiting, drafts, decided } = model.desk;
  const count = waiting.length;
  const lists: Array<[string, readonly IDeskItem[]]> = [
    ['', waiting.filter(item => matches(item, filter))],
    [trans.__('Drafts that are shown to you'), drafts.filter(item => matches(item, filter))],
    [trans.__('Decided by you'), decided.filter(item => matches(item, filter))]
  ];
  const shown = lists.flatMap(([, items]) => items);
  const first = shown.find(({ key }) => key === model.selected) ?? shown[0];
  return (
    // eslint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- the focus is on its buttons (roving tabindex), keys bubble up
    <nav className="jp-Guardrails-reviewQueue" aria-label={trans.__('To review')} onKeyDown={move}>
      <p className="jp-Guardrails-strong" role="status">
        {count === 0 ? trans.__('Nothing waits for you') : trans._n('%1 waits for you', '%1 wait for you', count)}
      </p>
      {count + drafts.length + decided.length > FILTERED_FROM && (
        <input
          type="search"
          className="jp-mod-styled"
          aria-label={trans.__('Filter by name, person or kind')}
          placeholder={trans.__('Filter')}
          value={filter}
          onChange={event => setFilter(event.currentTarget.value)}
        />
      )}
      {lists.map(([label, items]) => items.length > 0 && <List key={label} {...{ label, items, model, first }} />)}
      {filter && shown.length === 0 && <p className="jp-Guardrails-muted">{trans.__('Nothing found')}</p>}
    </nav>
  );
}

interface IListProps {
  /** Empty for what waits, which the line above it says. */
  label: string;
  items: readonly IDeskItem[];
  model: ReviewModel;
  /** Where the tab key stops. */
  first?: IDeskItem;
}

function List({ label, items, model, first }: IListProps): React.JSX.Element {
  const trans = useTrans();
  return (
    <>
      {label && <h3>{label}</h3>}
      <ul className="jp-Guardrails-list" aria-label={label || trans.__('Waits for you')}>
        {items.map(item => (
          <Line key={item.key} item={item} model={model} stop={item === first} />
        ))}
      </ul>
    </>
  );
}

function Line({ item, model, stop }: { item: IDeskItem; model: ReviewModel; stop: boolean }): React.JSX.Element {
  const trans = useTrans();
  const kind = kindsOf(trans)[item.kind];
  return (
    <li>
      <button
        type="button"
        className="jp-Guardrails-reviewLine"
        aria-current={item.key === model.selected}
        tabIndex={stop ? 0 : -1}
        onClick={() => void model.select(item.key)}
      >
        <span className="jp-Guardrails-reviewTitle">
          <Beginning text={item.title} most={MOST_TITLE} />
          <small>{kind}</small>
        </span>
        <span className="jp-Guardrails-muted">
          <Beginning text={item.who} most={MOST_TITLE} />
          {` · ${ago(item.at, Date.now(), trans)}`}
        </span>
        <span className="jp-Guardrails-reviewWhat">
          <Beginning text={item.what} most={MOST_WHAT} />
        </span>
      </button>
    </li>
  );
}

/** What a kind is called. */
export function kindsOf(trans: TranslationBundle): Record<IDeskItem['kind'], string> {
  return {
    job: trans.__('job'),
    draft: trans.__('draft'),
    data: trans.__('published data'),
    access: trans.__('access to data'),
    package: trans.__('package'),
    more: trans.__('higher limit')
  };
}

function matches({ title, who, kind }: IDeskItem, filter: string): boolean {
  return `${title} ${who} ${kind}`.toLowerCase().includes(filter.trim().toLowerCase());
}

/** Arrow keys, Home and End move the focus between the lines. */
function move(event: React.KeyboardEvent<HTMLElement>): void {
  const lines = [...event.currentTarget.querySelectorAll<HTMLElement>('.jp-Guardrails-reviewLine')];
  const at = lines.findIndex(line => line === document.activeElement);
  const step = STEPS[event.key];
  const to = step !== undefined ? at + step : { Home: 0, End: lines.length - 1 }[event.key];
  if (at >= 0 && to !== undefined && lines[to]) {
    event.preventDefault();
    lines[to].focus();
  }
}
