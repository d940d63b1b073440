import React from 'react';

import type { Publication } from '../../api/generated/openapi';
import { FormFooter, useSending } from '../../components/requestForm';
import { useTrans } from '../../components/translation';
import { Published } from '../../state/published';

export interface IPublicationFormProps {
  publication: Publication;
  published: Published;
  onDone: () => void;
}

/** To which group it is proposed. */
export function ProposeForm({ publication, published, onDone }: IPublicationFormProps): React.JSX.Element {
  const trans = useTrans();
  const [group, setGroup] = React.useState(published.groups[0] ?? '');
  const { sending, error, send } = useSending(onDone);
  return (
    <form
      className="jp-Guardrails-form"
      aria-label={trans.__('Propose %1', publication.name)}
      onSubmit={event => send(event, () => published.propose(publication.name, group))}
    >
      <label>
        <span className="jp-Guardrails-label">{trans.__('Who should be able to read it?')}</span>
        <select
          className="jp-mod-styled jp-Guardrails-select"
          value={group}
          onChange={event => setGroup(event.currentTarget.value)}
        >
          {published.groups.map(name => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <p className="jp-Guardrails-muted">
        {trans.__('Another person looks at it first: at its columns, its first rows, what it was made of.')}
      </p>
      <FormFooter {...{ sending, error }} ready={group !== ''} onCancel={onDone} words={trans.__('Propose')} />
    </form>
  );
}

/** Why it is taken back. */
export function WithdrawForm({ publication, published, onDone }: IPublicationFormProps): React.JSX.Element {
  const trans = useTrans();
  const [reason, setReason] = React.useState('');
  const { sending, error, send } = useSending(onDone);
  return (
    <form
      className="jp-Guardrails-form"
      aria-label={trans.__('Withdraw %1', publication.name)}
      onSubmit={event => send(event, () => published.withdraw(publication.name, reason.trim()))}
    >
      <p>{trans.__('Nobody opens it any more, you too, and its file is removed. What is open stays readable.')}</p>
      <TextField label={trans.__('Why? (may stay empty)')} value={reason} onChange={setReason} maxLength={2000} />
      <FormFooter {...{ sending, error }} ready onCancel={onDone} words={trans.__('Withdraw')} />
    </form>
  );
}

/** A file of the workspace, under a name of one's choice. */
export function BringForm({ published, onDone }: Omit<IPublicationFormProps, 'publication'>): React.JSX.Element {
  const trans = useTrans();
  const [file, setFile] = React.useState('');
  const [name, setName] = React.useState('');
  const [description, setDescription] = React.useState('');
  const { sending, error, send } = useSending(onDone);
  const ready = [file, name, description].every(text => text.trim() !== '');
  const made = { file: file.trim(), name: name.trim(), description: description.trim() };
  return (
    <form
      className="jp-Guardrails-form"
      aria-label={trans.__('Bring a file along')}
      onSubmit={event => send(event, () => published.bring(made))}
    >
      <TextField
        label={trans.__('File in your workspace')}
        placeholder="data/survey.csv"
        value={file}
        onChange={setFile}
        maxLength={1000}
      />
      <TextField
        label={trans.__('Name of the dataset')}
        placeholder="team/survey"
        value={name}
        onChange={setName}
        maxLength={200}
      />
      <TextField
        label={trans.__('What is it, and where is it from?')}
        value={description}
        onChange={setDescription}
        maxLength={4000}
      />
      <p className="jp-Guardrails-muted">
        {trans.__(
          'Parquet, CSV, JSON lines or Arrow. It is copied and searched for personal data, and stays yours alone until you propose it.'
        )}
      </p>
      <FormFooter {...{ sending, error, ready }} onCancel={onDone} words={trans.__('Bring along')} />
    </form>
  );
}

interface ITextFieldProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
  maxLength: number;
  placeholder?: string;
}

function TextField({ label, onChange, ...input }: ITextFieldProps): React.JSX.Element {
  return (
    <label>
      <span className="jp-Guardrails-label">{label}</span>
      <input
        type="text"
        className="jp-mod-styled"
        spellCheck={false}
        onChange={event => onChange(event.currentTarget.value)}
        {...input}
      />
    </label>
  );
}
