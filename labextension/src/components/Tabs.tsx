import React from 'react';

export interface ITab {
  id: string;
  label: string;
  /** Id of the element it shows. */
  panelId: string;
}

export interface ITabsProps {
  label: string;
  tabs: readonly ITab[];
  selected: string;
  onSelect: (id: string) => void;
}

/** The id of a tab's own element, for `aria-labelledby` of what it shows. */
export function tabId(panelId: string): string {
  return `${panelId}-tab`;
}

const STEPS: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1 };

/** A row of tabs; arrow keys, Home and End move between them. */
export function Tabs({ label, tabs, selected, onSelect }: ITabsProps): React.JSX.Element {
  const move = (event: React.KeyboardEvent<HTMLDivElement>): void => {
    const at = tabs.findIndex(tab => tab.id === selected);
    const step = STEPS[event.key];
    const to =
      step !== undefined ? (at + step + tabs.length) % tabs.length : { Home: 0, End: tabs.length - 1 }[event.key];
    const next = to === undefined ? undefined : tabs[to];
    if (next) {
      event.preventDefault();
      onSelect(next.id);
      event.currentTarget.querySelector<HTMLElement>(`#${tabId(next.panelId)}`)?.focus();
    }
  };
  return (
    // eslint-disable-next-line jsx-a11y/interactive-supports-focus -- the focus is on the tabs (roving tabindex), keys bubble up
    <div className="jp-Guardrails-tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map(tab => (
        <button
          key={tab.id}
          id={tabId(tab.panelId)}
          type="button"
          role="tab"
          className="jp-Guardrails-tab"
          aria-selected={tab.id === selected}
          aria-controls={tab.panelId}
          tabIndex={tab.id === selected ? 0 : -1}
          onClick={() => onSelect(tab.id)}
        >
          {tab.label}
        </button>
      ))}
    </div>
  );
}
