import React from 'react';

import { FormFooter, isPurpose, PurposeField, showForm, useSending } from '../../components/requestForm';
import { useTrans } from '../../components/translation';
import { DatasetModel } from '../../state/datasetModel';

export interface IRequestFormProps {
  dataset: string;
  model: Pick<DatasetModel, 'request'>;
  onDone: () => void;
}

/** Ask for access: for what, and for how long. */
export function RequestForm({ dataset, model, onDone }: IRequestFormProps): React.JSX.Element {
  const trans = useTrans();
  const [purpose, setPurpose] = React.useState('');
  const [days, setDays] = React.useState(30);
  const { sending, error, send } = useSending(onDone);
  const form = React.useRef<HTMLFormElement>(null);
  React.useEffect(() => showForm(form.current), []);
  return (
    <form
      ref={form}
      className="jp-Guardrails-form"
      aria-label={trans.__('Request access to %1', dataset)}
      onSubmit={event => send(event, () => model.request(dataset, purpose.trim(), days))}
    >
      <PurposeField value={purpose} onChange={setPurpose} />
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
      <FormFooter sending={sending} error={error} ready={isPurpose(purpose) && !Number.isNaN(days)} onCancel={onDone} />
    </form>
  );
}
