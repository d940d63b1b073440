import React from 'react';

import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';

/** Ways past a long list of datasets, to what concerns this person. Each section is named as its button. */
export function Jumps({ model }: { model: DatasetModel }): React.JSX.Element | null {
  const trans = useTrans();
  const waiting = model.openRequests.length + model.published.toReview.length;
  const places: Array<[string, number]> = [
    [trans.__('Waits for a decision'), waiting],
    [trans.__('My requests'), model.requests.length],
    [trans.__('Published by me'), model.published.own.length]
  ];
  const shown = places.filter(([, count]) => count > 0);
  if (shown.length === 0) {
    return null;
  }
  return (
    <nav className="jp-Guardrails-jumps" aria-label={trans.__('Further down')}>
      {shown.map(([name, count]) => (
        <button
          key={name}
          type="button"
          className="jp-Guardrails-link"
          onClick={event => goTo(event.currentTarget.closest('nav')?.parentElement ?? null, name)}
        >
          {trans.__('%1 (%2)', name, count)}
        </button>
      ))}
    </nav>
  );
}

function goTo(part: Element | null, name: string): void {
  const sections = part?.querySelectorAll<HTMLElement>('section[aria-label]') ?? [];
  const place = [...sections].find(section => section.getAttribute('aria-label') === name);
  place?.scrollIntoView({ block: 'start' });
  place?.focus({ preventScroll: true });
}
