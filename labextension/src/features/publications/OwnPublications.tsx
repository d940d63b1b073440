import React from 'react';

import { useTrans } from '../../components/translation';
import { Published } from '../../state/published';
import { BringForm } from './forms';
import { PublicationItem } from './PublicationItem';

const EXAMPLE = 'guarded.publish(df, "team/name", description="…")';

/** What this person published, and the way to more. */
export function OwnPublications({ published }: { published: Published }): React.JSX.Element | null {
  const trans = useTrans();
  const [bringing, setBringing] = React.useState(false);
  const { own, over, imports, groups } = published;
  if (own.length + over + groups.length === 0 && !imports) {
    return null;
  }
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Published by me')} tabIndex={-1}>
      <h3>{trans.__('Published by me')}</h3>
      {own.length === 0 && (
        <p className="jp-Guardrails-muted">
          {trans.__('Nothing yet. In a notebook:')} <code>{EXAMPLE}</code>
        </p>
      )}
      <ul className="jp-Guardrails-list">
        {own.map(one => (
          <PublicationItem key={`${one.name} ${one.version}`} publication={one} published={published} />
        ))}
      </ul>
      {over > 0 && (
        <p className="jp-Guardrails-muted">{trans._n('%1 version is over.', '%1 versions are over.', over)}</p>
      )}
      {imports && !bringing && (
        <div className="jp-Guardrails-row">
          <button type="button" className="jp-mod-styled" onClick={() => setBringing(true)}>
            {trans.__('Bring a file along…')}
          </button>
        </div>
      )}
      {bringing && <BringForm published={published} onDone={() => setBringing(false)} />}
    </section>
  );
}
