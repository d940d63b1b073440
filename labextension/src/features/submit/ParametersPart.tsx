import React from 'react';

import { useTrans } from '../../components/translation';
import { sentence } from '../../format';
import { IParameter, isSettable, parametersOf, Typed, typedFor, valueFor } from '../../state/parameters';
import { choicesOf, ISchema, kindsOf, Literal, valueOf } from '../../state/parameterTypes';
import { expected } from './expected';

export interface IParametersPartProps {
  /** The code of the cell tagged `parameters`. */
  cell: string;
  typed: Typed;
  /** Those that were refused, as `parameters.month`. */
  problems: Readonly<Record<string, string>>;
  /** What the check said of what was typed, by name. */
  found: Readonly<Record<string, string>>;
  onChange: (typed: Typed) => void;
}

/** Values for the names of the cell tagged `parameters`; what is left empty stays as the notebook says it. */
export function ParametersPart({ cell, typed, problems, found, onChange }: IParametersPartProps): React.JSX.Element {
  const trans = useTrans();
  const parameters = React.useMemo(() => parametersOf(cell), [cell]);
  if (parameters.length === 0) {
    return (
      <p className="jp-Guardrails-muted">
        {trans.__('No parameters: give one cell the tag “parameters” for what may change from run to run.')}
      </p>
    );
  }
  const set = (name: string, text: string): void => {
    const others = Object.entries(typed).filter(([key]) => key !== name);
    onChange(Object.fromEntries(text === '' ? others : [...others, [name, text]]));
  };
  return (
    <fieldset className="jp-Guardrails-parameters">
      <legend className="jp-Guardrails-label">{trans.__('Parameters')}</legend>
      {parameters.map(parameter => (
        <ParameterField
          key={parameter.name}
          parameter={parameter}
          typed={typed}
          refused={`parameters.${parameter.name}` in problems}
          found={found[parameter.name]}
          onChange={text => set(parameter.name, text)}
        />
      ))}
    </fieldset>
  );
}

interface IParameterFieldProps {
  parameter: IParameter;
  typed: Typed;
  /** Whether it was wrong when it was to be sent. */
  refused: boolean;
  /** What the check said of it. */
  found?: string;
  onChange: (text: string) => void;
}

/** What is wrong is said when the field is left, and no more as soon as it is right. */
function ParameterField({ parameter, typed, refused, found, onChange }: IParameterFieldProps): React.JSX.Element {
  const trans = useTrans();
  const id = React.useId();
  const [left, setLeft] = React.useState(false);
  React.useEffect(() => setLeft(before => before || refused), [refused]); // and stays so when another one is corrected
  const { name, schema } = parameter;
  const { wrong } = valueFor(parameter, typed);
  const text = typedFor(parameter, typed);
  const problem =
    schema && wrong && (left || refused)
      ? trans.__('This takes %1.', expected(schema, text, trans))
      : found && `${sentence(found)}.`;
  const note = schema ? trans.__('None may be anything: annotate it.') : trans.__('Worked out by the notebook.');
  const said = problem ?? (isSettable(parameter) ? null : note);
  const choices = schema && choicesOf(schema);
  const control = {
    value: text,
    onChange: (event: React.ChangeEvent<HTMLInputElement | HTMLSelectElement>) => onChange(event.currentTarget.value),
    ...(said && { 'aria-describedby': id }),
    ...(problem && { 'aria-invalid': true })
  };
  return (
    <div>
      <label className="jp-Guardrails-parameter">
        <code>{name}</code>
        {schema && choices ? (
          <Choice parameter={parameter} schema={schema} choices={choices} {...control} />
        ) : (
          <TextValue parameter={parameter} onFocus={() => setLeft(wrong)} onBlur={() => setLeft(true)} {...control} />
        )}
      </label>
      {said && (
        <p
          id={id}
          role={problem ? 'alert' : undefined}
          className={problem ? 'jp-Guardrails-problem' : 'jp-Guardrails-muted'}
        >
          {said}
        </p>
      )}
    </div>
  );
}

interface IChoiceProps extends React.SelectHTMLAttributes<HTMLSelectElement> {
  parameter: IParameter;
  schema: ISchema;
  choices: readonly Literal[];
  value: string;
}

function Choice({ parameter, schema, choices, value, ...select }: IChoiceProps): React.JSX.Element {
  const trans = useTrans();
  const words = new Map<Literal, string>([
    [true, trans.__('true')],
    [false, trans.__('false')],
    [null, trans.__('none')]
  ]);
  const chosen = valueOf(schema, value);
  return (
    <select
      className="jp-mod-styled jp-Guardrails-select"
      value={chosen === undefined ? '' : JSON.stringify(chosen)}
      {...select}
    >
      <option value="">{trans.__('%1 (as in the notebook)', parameter.shown)}</option>
      {choices.map(choice => (
        <option key={JSON.stringify(choice)} value={JSON.stringify(choice)}>
          {words.get(choice) ?? String(choice)}
        </option>
      ))}
    </select>
  );
}

interface ITextValueProps extends React.InputHTMLAttributes<HTMLInputElement> {
  parameter: IParameter;
}

/** Numbers, too: a field of numbers would drop what is none, and so there would be nothing to correct. */
function TextValue({ parameter, ...input }: ITextValueProps): React.JSX.Element {
  const trans = useTrans();
  const { schema, shown } = parameter;
  const kinds = schema ? kindsOf(schema) : [];
  const hint = kinds.includes('null') && kinds.length > 1 ? trans.__('%1 (or none)', shown) : shown;
  return (
    <input
      type="text"
      inputMode={kinds.length === 1 && (kinds[0] === 'integer' || kinds[0] === 'number') ? 'decimal' : 'text'}
      className="jp-mod-styled"
      spellCheck={false}
      disabled={!isSettable(parameter)}
      placeholder={hint}
      {...input}
    />
  );
}
