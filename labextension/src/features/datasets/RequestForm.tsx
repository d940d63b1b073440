import React from 'react';

import { ApiError } from '../../api/errors';
import { ErrorNotice } from '../../components/Notice';
import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';

const MIN_PURPOSE = 3;

export interface IRequestFormProps {
  dataset: string;
  model: DatasetModel;
  onDone: () => void;
}

/** Ask for access: for what, and for how long. */
export function RequestForm({ dataset, model, onDone }: IRequestFormProps): React.JSX.Element {
  const trans = useTrans();
  const [purpose, setPurpose] = React.useState('');
  const [days, setDays] = React.useState(30);
  const [sending, setSending] = React.useState(false);
  const [error, setError] = React.useState<ApiError | null>(null);
  const send = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    setSending(true);
    setError(null);
    try {
      await model.request(dataset, purpose.trim(), days);
      onDone();
    } catch (reason) {
      setError(ApiError.from(reason));
      setSending(false);
    }
  };
  return (
    <form
      className="jp-Guardrails-form"
      aria-label={trans.__('Request access to %1', dataset)}
      onSubmit={event => void send(event)}
    >
      <label>
        <span className="jp-Guardrails-label">{trans.__('What do you need it for?')}</span>
        <textarea
          className="jp-mod-styled"
          rows={2}
          required
          minLength={MIN_PURPOSE}
          maxLength={2000}
          value={purpose}
          onChange={event => setPurpose(event.currentTarget.value)}
        />
      </label>
      <label>
        <span className="jp-Guardrails-label">{trans.__('For how many days?')}</span>
        <input
          type="number"
          className="jp-mod-styled"
          min={1}
          max={365}
          required
          value={days}
          onChange={event => setDays(event.currentTarget.valueAsNumber)}
        />
      </label>
      {error && <ErrorNotice error={error} title={trans.__('The request was not sent')} />}
      <div className="jp-Guardrails-row">
        <button
          type="submit"
          className="jp-mod-styled jp-mod-accept"
          disabled={sending || purpose.trim().length < MIN_PURPOSE || Number.isNaN(days)}
        >
          {sending ? trans.__('Sending…') : trans.__('Send request')}
        </button>
        <button type="button" className="jp-mod-styled jp-Guardrails-quiet" onClick={onDone}>
          {trans.__('Cancel')}
        </button>
      </div>
    </form>
  );
}
