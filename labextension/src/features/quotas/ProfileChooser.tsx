import type { TranslationBundle } from '@jupyterlab/translation';
import React from 'react';

import type { Profile } from '../../api/generated/openapi';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { baseName, bytes, digits } from '../../format';
import { INotebooks } from '../../state/notebooks';
import { QuotaModel } from '../../state/quotaModel';

/** Choose how much the next kernel may use, and restart the one in front to have it now. */
export function ProfileChooser({ model, notebooks }: { model: QuotaModel; notebooks: INotebooks }): React.JSX.Element {
  const trans = useTrans();
  const profiles = model.me?.profiles ?? [];
  const { own } = model;
  const title = chooserTitle(model, trans);
  return (
    <section className="jp-Guardrails-block" aria-label={title}>
      <label>
        <span className="jp-Guardrails-label jp-Guardrails-strong">{title}</span>
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
      {own && (
        <p className="jp-Guardrails-muted">
          {trans.__('Chosen for this notebook alone.')}{' '}
          <button
            type="button"
            className="jp-Guardrails-link"
            disabled={model.choosing !== null}
            onClick={() => void model.choose(null)}
          >
            {trans.__('Same as others')}
          </button>
        </p>
      )}
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
  return <option value={profile.name}>{profileTitle(profile, trans)}</option>;
}

/** What is chosen: the size of all kernels to come, or of those of the notebook in front. */
export function chooserTitle({ own }: QuotaModel, trans: TranslationBundle): string {
  return own ? trans.__('Size of the next kernel of %1', baseName(own.notebook)) : trans.__('Size of the next kernel');
}

/** Name, memory and processors of a profile. */
export function profileTitle({ name, memory_bytes, cpus }: Profile, trans: TranslationBundle): string {
  const size = trans._n('%3: %2, %1 core', '%3: %2, %1 cores', cpus, bytes(memory_bytes), name);
  return size.replace(String(cpus), digits(cpus));
}

async function restart(model: QuotaModel, notebooks: INotebooks): Promise<void> {
  if (await notebooks.restart()) {
    await model.refresh();
  }
}
