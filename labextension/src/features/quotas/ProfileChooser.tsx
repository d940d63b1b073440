import React from 'react';

import type { Profile } from '../../api/generated/openapi';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { bytes, digits } from '../../format';
import { INotebooks } from '../../state/notebooks';
import { QuotaModel } from '../../state/quotaModel';

/** Choose how much the next kernel may use, and restart the one in front to have it now. */
export function ProfileChooser({ model, notebooks }: { model: QuotaModel; notebooks: INotebooks }): React.JSX.Element {
  const trans = useTrans();
  const profiles = model.me?.profiles ?? [];
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Size of the next kernel')}>
      <label>
        <span className="jp-Guardrails-label jp-Guardrails-strong">{trans.__('Size of the next kernel')}</span>
        <select
          className="jp-mod-styled jp-Guardrails-select"
          value={model.chosen ?? ''}
          disabled={model.choosing !== null || profiles.length < 2}
          onChange={event => void model.choose(event.currentTarget.value)}
        >
          {profiles.map(profile => (
            <ProfileOption key={profile.name} profile={profile} />
          ))}
        </select>
      </label>
      {model.choiceError && <ErrorNotice error={model.choiceError} title={trans.__('The size was not changed')} />}
      {model.restartNeeded ? (
        <div className="jp-Guardrails-row" role="status">
          <span className="jp-Guardrails-muted">
            {trans.__('The notebook in front still runs as “%1”.', model.current?.profile ?? '')}
          </span>
          <button type="button" className="jp-mod-styled" onClick={() => void restart(model, notebooks)}>
            {trans.__('Restart kernel…')}
          </button>
        </div>
      ) : (
        <p className="jp-Guardrails-muted">
          {profiles.length < 2
            ? trans.__('The policy gives you this one size.')
            : trans.__('Takes effect at the next start of a kernel.')}
        </p>
      )}
    </section>
  );
}

function ProfileOption({ profile }: { profile: Profile }): React.JSX.Element {
  const trans = useTrans();
  const size = trans._n('%3: %2, %1 core', '%3: %2, %1 cores', profile.cpus, bytes(profile.memory_bytes), profile.name);
  return <option value={profile.name}>{size.replace(String(profile.cpus), digits(profile.cpus))}</option>;
}

async function restart(model: QuotaModel, notebooks: INotebooks): Promise<void> {
  if (await notebooks.restart()) {
    await model.refresh();
  }
}
