import React from 'react';

import type { AccessRequest } from '../../api/generated/openapi';
import { Entry } from '../../components/Badge';
import { FormFooter, isPurpose, PurposeField, useSending } from '../../components/requestForm';
import { requestLooks } from '../../components/requestLooks';
import { useTrans } from '../../components/translation';
import { ago, moment } from '../../format';
import { PackageRequests } from '../../state/packageRequests';

const SHOWN = 8;

/** Ask for Python packages that jobs may not hold yet, and what came of it. */
export function PackagesSection({ packages }: { packages: PackageRequests }): React.JSX.Element {
  const trans = useTrans();
  return (
    <section className="jp-Guardrails-block" aria-label={trans.__('Packages on request')}>
      <h3>{trans.__('Packages on request')}</h3>
      {packages.asking === null ? (
        <button type="button" className="jp-mod-styled" onClick={() => (packages.asking = '')}>
          {trans.__('Ask for a package…')}
        </button>
      ) : (
        <PackageForm key={packages.asking} packages={packages} onDone={() => (packages.asking = null)} />
      )}
      {packages.all.length > 0 && (
        <ul className="jp-Guardrails-list">
          {packages.all.slice(0, SHOWN).map(request => (
            <PackageItem key={request.id} request={request} />
          ))}
        </ul>
      )}
    </section>
  );
}

function PackageForm({ packages, onDone }: { packages: PackageRequests; onDone: () => void }): React.JSX.Element {
  const trans = useTrans();
  const first = React.useRef<HTMLInputElement>(null);
  const [name, setName] = React.useState(packages.asking ?? '');
  const [purpose, setPurpose] = React.useState('');
  const [days, setDays] = React.useState(90);
  const { sending, error, send } = useSending(onDone);
  React.useEffect(() => {
    first.current?.focus();
    if (first.current && 'scrollIntoView' in first.current) {
      first.current.scrollIntoView({ block: 'nearest' });
    }
  }, []);
  const ready = name.trim() !== '' && isPurpose(purpose) && days >= 1;
  return (
    <form
      className="jp-Guardrails-form"
      aria-label={trans.__('Ask for a package')}
      onSubmit={event => send(event, () => packages.ask(name, purpose.trim(), days))}
    >
      <label>
        <span className="jp-Guardrails-label">{trans.__('Which package?')}</span>
        <input
          ref={first}
          type="text"
          className="jp-mod-styled"
          required
          maxLength={200}
          spellCheck={false}
          value={name}
          onChange={event => setName(event.currentTarget.value)}
        />
      </label>
      <PurposeField value={purpose} onChange={setPurpose} />
      <label>
        <span className="jp-Guardrails-label">{trans.__('For how many days?')}</span>
        <input
          type="number"
          className="jp-mod-styled"
          min={1}
          max={365}
          required
          value={Number.isNaN(days) ? '' : days}
          onChange={event => setDays(event.currentTarget.valueAsNumber)}
        />
      </label>
      <p className="jp-Guardrails-muted">
        {trans.__('An admin decides, for you or for your group. Checks and submissions take it from then on.')}
      </p>
      <FormFooter sending={sending} error={error} ready={ready} onCancel={onDone} />
    </form>
  );
}

function PackageItem({ request }: { request: AccessRequest }): React.JSX.Element {
  const trans = useTrans();
  const also = request.also ?? [];
  const until =
    request.state === 'granted' && request.until
      ? trans.__('until %1', moment(request.until))
      : ago(request.created_at, Date.now(), trans);
  const whom = request.group ? trans.__('for %1', request.group) : '';
  return (
    <Entry title={request.package} look={requestLooks(trans)[request.state]}>
      <p className="jp-Guardrails-muted">{[until, whom, request.purpose].filter(Boolean).join(' · ')}</p>
      {also.length > 0 && <p className="jp-Guardrails-muted">{trans.__('with %1', also.join(', '))}</p>}
      {request.reason && <p>{[request.decided_by, request.reason].filter(Boolean).join(': ')}</p>}
    </Entry>
  );
}
